/** The services file: what it says, and every way in which it can be wrong. */

import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseServicesFile } from '../../../src/cluster-agent/discovery/services-file.ts';
import { isMeshError } from '../../../src/mesh/errors.ts';
import { parseClusterName } from '../../../src/mesh/names.ts';
import { parseTrustDomain } from '../../../src/mesh/spiffe-id.ts';

const OWNER = {
  cluster: parseClusterName('east'),
  trustDomain: parseTrustDomain('east.example'),
  locality: { region: 'us-east', zone: 'us-east-1' },
};

const WEB = `  - name: web
    namespace: shop
    ports: [{ port: 80, protocol: http }]
    endpoints: [{ workload: web-0, serviceAccount: web, sidecar: 127.0.0.1:1 }]
`;

function parse(services: string) {
  return parseServicesFile(`services:\n${services}`, 'services.yaml', OWNER);
}

function problemsOf(services: string): string[] {
  try {
    parse(services);
  } catch (error) {
    if (isMeshError(error, 'CONFIG_INVALID')) {
      return error.message
        .split('\n')
        .slice(1)
        .map(line => line.trim());
    }
    throw error;
  }
  return [];
}

describe('the services file', () => {
  for (const cluster of ['east', 'west', 'eu']) {
    it(`of the demo's ${cluster} is right`, () => {
      const text = readFileSync(`clusters/${cluster}/services.yaml`, 'utf8');
      expect(parseServicesFile(text, 'services.yaml', OWNER)).to.not.equal([]);
    });
  }

  it('says what an endpoint can do, where somebody wrote it down', () => {
    const [web] = parse(WEB.replace('workload: web-0', 'workload: web-0, capacity: 50'));
    expect(web?.endpoints[0]?.capacity).to.equal(50);
    expect(parse(WEB)[0]?.endpoints[0]).to.not.have.property('capacity');
    expect(
      problemsOf(WEB.replace('workload: web-0', 'workload: web-0, capacity: 0')),
    ).to.deep.equal(['services.0.endpoints.0.capacity: must be at least 1, found "0"']);
  });

  it('makes services with identities, and localities of the agent where it names none', () => {
    const [web] = parse(WEB);
    expect(web?.exported).to.equal(false);
    expect(web?.endpoints).to.deep.equal([
      {
        workload: 'web-0',
        cluster: 'east',
        spiffeId: 'spiffe://east.example/ns/shop/sa/web',
        locality: OWNER.locality,
        address: { host: '127.0.0.1', port: 1 },
      },
    ]);
  });

  it('may be empty', () => {
    expect(parseServicesFile('services: []', 'services.yaml', OWNER)).to.deep.equal([]);
  });

  it('lets one workload back two services', () => {
    expect(problemsOf(WEB + WEB.replace('name: web', 'name: site'))).to.deep.equal([]);
  });

  const cases: readonly [what: string, services: string, problem: string][] = [
    [
      'a service twice',
      WEB + WEB,
      'services.1.name: must be another name: namespace "shop" has this service already, found "web"',
    ],
    [
      'a port twice',
      WEB.replace('ports: [', 'ports: [{ port: 80, protocol: tcp }, '),
      'services.0.ports.1.port: must not stand twice, found "80"',
    ],
    [
      'a workload twice in a service',
      WEB.replace(
        'endpoints: [',
        'endpoints: [{ workload: web-0, serviceAccount: web, sidecar: 127.0.0.1:1 }, ',
      ),
      'services.0.endpoints.1.workload: must not stand twice in a service, found "web-0"',
    ],
    [
      'one workload with two identities',
      WEB +
        WEB.replace('name: web', 'name: site').replace('serviceAccount: web', 'serviceAccount: s'),
      'services.1.endpoints.0.workload: must be another name: it is shop/web at 127.0.0.1:1 in services.0.endpoints.0.workload, here shop/s at 127.0.0.1:1, found "web-0"',
    ],
    [
      'an unknown key',
      WEB.replace('namespace:', 'namspace: x\n    namespace:'),
      'services.0.namspace: unknown key, did you mean "namespace"?',
    ],
    [
      'no ports',
      WEB.replace('[{ port: 80, protocol: http }]', '[]'),
      'services.0.ports: must have at least one port, found a list of 0',
    ],
    [
      'another protocol',
      WEB.replace('http', 'udp'),
      'services.0.ports.0.protocol: must be http or tcp, found "udp"',
    ],
  ];
  for (const [what, services, problem] of cases) {
    it(`refuses ${what}, saying where`, () => {
      expect(problemsOf(services)).to.deep.equal([problem]);
    });
  }

  it('refuses a bad name, saying where', () => {
    const [problem, ...more] = problemsOf(WEB.replace('workload: web-0', 'workload: Web_0'));
    expect(more).to.deep.equal([]);
    expect(problem).to.match(/^services\.0\.endpoints\.0\.workload: workload name "Web_0" must be/);
  });
});

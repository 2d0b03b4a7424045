import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { gatewayConfig } from '../../src/east-west-gateway/config.ts';
import { parseConfig } from '../../src/runtime/config.ts';
import { sidecarConfig } from '../../src/sidecar/config.ts';

const CLUSTERS = fileURLToPath(new URL('../../../clusters', import.meta.url));
const CHECKOUT = join(CLUSTERS, 'east/sidecars/checkout.yaml');

function problems(change: (text: string) => string): string {
  const text = change(readFileSync(CHECKOUT, 'utf8'));
  try {
    parseConfig(text, 'test', sidecarConfig);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('the configuration of the proxies', () => {
  for (const cluster of ['east', 'west', 'eu']) {
    it(`in clusters/${cluster} is accepted`, () => {
      const read = (path: string): string => readFileSync(join(CLUSTERS, cluster, path), 'utf8');
      expect(parseConfig(read('gateway.yaml'), 'test', gatewayConfig).cluster).to.equal(cluster);
      for (const file of readdirSync(join(CLUSTERS, cluster, 'sidecars'))) {
        const config = parseConfig(read(`sidecars/${file}`), 'test', sidecarConfig);
        expect(config.inbound.services[0]?.service.namespace).to.equal('shop');
      }
    });
  }

  it('names a service of the mesh for each local TCP port', () => {
    const tcp = (service: string) => (text: string) =>
      text.replace(
        'outbound:\n',
        `outbound:\n  tcp: [{ listen: 127.0.0.1:0, service: ${service} }]\n`,
      );
    expect(problems(tcp('payments.shop.svc.clusterset.local:80'))).to.equal('');
    expect(problems(tcp('payments.shop.svc.clusterset.local'))).to.include('host:port');
    expect(problems(tcp('example.com:80'))).to.include('must be a service of the mesh');
  });

  for (const [title, change, expected] of [
    ['a misspelt key', t => t.replace('workload:', 'worklaod:'), 'did you mean "workload"?'],
    [
      'a service without namespace',
      t => t.replace('shop/checkout', 'checkout'),
      'must be <namespace>/<service>',
    ],
    ['an unknown protocol', t => t.replace('protocol: http', 'protocol: udp'), 'http or tcp'],
    [
      'two listeners on one address',
      t => t.replace(':21112', ':21111'),
      'inbound.listen are both 127.0.0.1:21111',
    ],
    [
      'the same service twice',
      t => t.replace(/( {4}- .*\n)/, '$1$1'),
      'shop/checkout port 80 is configured twice',
    ],
    ['a drain that is no duration', t => `${t}drain: soon\n`, 'duration "soon"'],
  ] as const satisfies readonly (readonly [string, (text: string) => string, string])[]) {
    it(`is refused with ${title}`, () => {
      expect(problems(change)).to.include(expected);
    });
  }
});

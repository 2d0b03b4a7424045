/**
 * Which host leads to which upstream: one RouteConfiguration per port, named by it as Istio does, with
 * a virtual host per name of a service.
 */

import { parseUpstreamName, type UpstreamName } from '../../mesh/upstream.ts';
import { RouteConfiguration } from '../generated/envoy/config/route/v3/route.ts';
import type {
  Route,
  RouteAction,
  VirtualHost,
} from '../generated/envoy/config/route/v3/route_components.ts';
import { encodeMessage, FieldError, parseResource, required } from './resource.ts';

export interface HostRoutes {
  /** The port, as text. */
  readonly name: string;
  /** Lower-case `host:port` or bare `host` → upstream. */
  readonly hosts: readonly (readonly [host: string, upstream: UpstreamName])[];
}

export function formatHostRoutes(routes: HostRoutes): Buffer {
  const domains = new Map<UpstreamName, string[]>();
  for (const [host, upstream] of routes.hosts) {
    const known = domains.get(upstream);
    if (known === undefined) domains.set(upstream, [host]);
    else known.push(host);
  }
  return encodeMessage(RouteConfiguration, {
    name: routes.name,
    virtualHosts: [...domains].map(([upstream, names]) => formatVirtualHost(upstream, names)),
  });
}

/** Throws PROTOCOL_VIOLATION. */
export function parseHostRoutes(bytes: Uint8Array): HostRoutes {
  return parseResource(
    'route-configuration',
    RouteConfiguration,
    bytes,
    m => m.name,
    message => {
      const hosts = message.virtualHosts.flatMap((virtualHost, i) => {
        const path = `virtual_hosts[${i}].routes`;
        const [route, ...more] = virtualHost.routes;
        if (route === undefined || more.length > 0) throw new FieldError(path, 'must be one route');
        if (route.match?.pathSpecifier?.value !== '/') {
          throw new FieldError(`${path}[0].match.prefix`, 'must be "/"');
        }
        const action = required(route.action, `${path}[0].route`).value;
        const cluster = required(action.clusterSpecifier, `${path}[0].route.cluster`).value;
        if (parseUpstreamName(cluster) === undefined) {
          throw new FieldError(`${path}[0].route.cluster`, 'must be outbound|<port>||<host>');
        }
        return virtualHost.domains.map(domain => [domain, cluster as UpstreamName] as const);
      });
      return { name: message.name, hosts };
    },
  );
}

function formatVirtualHost(upstream: UpstreamName, domains: string[]): VirtualHost {
  const action: RouteAction = { clusterSpecifier: { $case: 'cluster', value: upstream } };
  const route: Route = {
    match: { pathSpecifier: { $case: 'prefix', value: '/' } },
    action: { $case: 'route', value: action },
  };
  return { name: upstream, domains, routes: [route] };
}

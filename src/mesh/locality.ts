/**
 * Localities and the priority they give an endpoint, lower is tried first (Envoy's priority levels):
 * 0 same zone, 1 same region, 2 anywhere else. An empty part is unknown and never equals another.
 */

export interface Locality {
  readonly region: string;
  readonly zone: string;
}

export function localityPriority(from: Locality, to: Locality): number {
  if (from.region === '' || from.region !== to.region) return 2;
  return from.zone !== '' && from.zone === to.zone ? 0 : 1;
}

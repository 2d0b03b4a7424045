/** The rotation of each upstream, kept from one word of the agent to the next. */

import type { Collection } from '../../mesh/collection.ts';
import type { EndpointHash } from '../../mesh/service.ts';
import type { Upstream, UpstreamName } from '../../mesh/upstream.ts';
import type { HealthFigures } from '../metrics.ts';
import { Gateways } from './gateways.ts';
import { isInService } from './members.ts';
import { Rotation, type RotationOptions } from './rotation.ts';

export interface RotationsOptions {
  readonly upstreams: Pick<Collection<UpstreamName, Upstream>, 'entries' | 'observe'>;
  readonly now: () => number;
  readonly random: () => number;
  readonly onOut: RotationOptions['onOut'];
}

export class Rotations {
  readonly gateways: Gateways;
  readonly #options: RotationOptions;
  readonly #byName = new Map<UpstreamName, Rotation>();

  constructor({ upstreams, now, random, onOut }: RotationsOptions) {
    this.gateways = new Gateways(now, random);
    this.#options = { gateways: this.gateways, now, random, onOut };
    this.#follow(upstreams.entries());
    upstreams.observe(changes => {
      for (const change of changes) {
        if (change.kind === 'delete') this.#byName.delete(change.key);
        else this.#put(change.value);
      }
      this.#forgetGateways();
    });
  }

  /** Of an upstream that the agent has named. */
  of(name: UpstreamName): Rotation | undefined {
    return this.#byName.get(name);
  }

  /** Whether an endpoint is known to be out of reach. */
  isUnreachable(name: UpstreamName, endpoint: EndpointHash): boolean {
    const members = this.#byName.get(name)?.members ?? [];
    return members.some(member => member.endpoint.hash === endpoint && !member.isReachable);
  }

  all(): Iterable<Rotation> {
    return this.#byName.values();
  }

  /** A session's peer has stopped answering: whoever would use it again would wait as long. */
  wentSilent(key: string): void {
    for (const rotation of this.#byName.values()) {
      for (const { ways } of rotation.members) {
        for (const way of ways) if (way.key === key) rotation.failed(way, 'way');
      }
    }
  }

  figures(nowMs: number): HealthFigures {
    const rotations = [...this.#byName.values()];
    const members = rotations.flatMap(rotation => rotation.members);
    const inService = members.filter(member => isInService(member, nowMs)).length;
    return {
      inService,
      outOfService: members.length - inService,
      gatewaysOut: [...this.gateways.all()].filter(({ reach }) => reach.kind === 'out').length,
      panicking: rotations.filter(rotation => rotation.isPanicking).length,
    };
  }

  #follow(upstreams: ReadonlyMap<UpstreamName, Upstream>): void {
    for (const upstream of upstreams.values()) this.#put(upstream);
  }

  #put(upstream: Upstream): void {
    const known = this.#byName.get(upstream.name);
    if (known === undefined) {
      this.#byName.set(upstream.name, new Rotation(upstream, this.#options));
    } else known.update(upstream);
  }

  #forgetGateways(): void {
    const ways = [...this.#byName.values()].flatMap(({ members }) =>
      members.flatMap(member => member.ways),
    );
    this.gateways.keep(
      new Set(ways.flatMap(({ gateway }) => (gateway === undefined ? [] : [gateway]))),
    );
  }
}

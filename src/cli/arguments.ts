/** Arguments that more than one command takes, read as the configuration reads them. */

import { InvalidArgumentError, Option } from 'commander';
import * as v from 'valibot';
import {
  type Namespace,
  parseNamespace,
  parseServiceName,
  type ServiceName,
} from '../mesh/names.ts';
import { duration } from '../runtime/config.ts';

/** `30s` → 30000; `0s` too. */
export function durationArgument(text: string): number {
  if (text === '0s') return 0;
  const parsed = v.safeParse(duration(), text);
  if (parsed.success) return parsed.output;
  throw new InvalidArgumentError('Use a number and a unit, such as 500ms, 30s, 5m or 1h.');
}

/** Reads to milliseconds; `otherwise` is written as a user would. */
export function durationOption(flags: string, description: string, otherwise: string): Option {
  return new Option(flags, description)
    .argParser(durationArgument)
    .default(durationArgument(otherwise), otherwise);
}

/** Throws InvalidArgumentError for what no sidecar could be asked for. */
export function serviceUrlArgument(text: string): string {
  if (text.startsWith('http://') && URL.canParse(text)) return text;
  throw new InvalidArgumentError(
    'Start with http:// and name a service, such as http://payments.shop.svc.clusterset.local/.',
  );
}

export interface ServiceArgument {
  readonly namespace: Namespace;
  readonly name: ServiceName;
}

/** `shop/payments`. Throws NAME_INVALID for a part that is no name. */
export function serviceArgument(text: string): ServiceArgument {
  const [namespace, name, ...rest] = text.split('/');
  if (namespace === undefined || name === undefined || rest.length > 0) {
    throw new InvalidArgumentError('Use <namespace>/<service>, such as shop/payments.');
  }
  return { namespace: parseNamespace(namespace), name: parseServiceName(name) };
}

export function formatService({ namespace, name }: ServiceArgument): string {
  return `${namespace}/${name}`;
}

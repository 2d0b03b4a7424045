/** `isthmus trust …`: one group, whose commands live in files of their own. */

import type { Command } from 'commander';

export function trustGroup(program: Command): Command {
  const group = program.commands.find(command => command.name() === 'trust');
  return (
    group ?? program.command('trust').description('who is trusted: roots, rotation, revocation')
  );
}

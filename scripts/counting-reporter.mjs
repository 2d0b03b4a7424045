/**
 * Mocha's spec reporter, which also tells the parent process how each test ended.
 *
 * One message per test, sent as it ends: a crash in the middle does not lose the counts before it. Told
 * anything, it ends the run with the test under way, whose hooks still clean up.
 */

import Mocha from 'mocha';

const { EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING, EVENT_RUN_END } =
  Mocha.Runner.constants;

export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const tell = event => () => process.send?.(event);
    runner.on(EVENT_TEST_PASS, tell('passed'));
    runner.on(EVENT_TEST_FAIL, tell('failed'));
    runner.on(EVENT_TEST_PENDING, tell('skipped'));
    runner.on(EVENT_RUN_END, tell('end'));
    process.once('message', () => runner.abort());
    // Listening alone would keep the process alive.
    process.channel?.unref();
  }
}

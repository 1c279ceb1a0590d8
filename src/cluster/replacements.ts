import type { Logger } from 'pino';
import type { Place } from './place.ts';
import type { Report } from './report.ts';
import type { WorkerProcess } from './worker-process.ts';

/** What grows so fast would be replaced all the time. */
const TOO_LARGE_MIN_AGE_MS = 10_000;

/**
 * The first worker of a reload serves beside the old one for so long before that one goes: a build that dies in its first
 * seconds has then cost nothing.
 */
const PROBATION_MS = 2500;

/** So many that were replaced may linger for each that serves. */
const LEAVING_MAX = 3;

/** Replaces workers by plan, one at a time: all of them in a reload, or one that has grown too large. */
export class Replacements {
  readonly #places: readonly Place[];
  readonly #workers: ReadonlySet<WorkerProcess>;
  readonly #log: Logger;
  #isReplacing = false;
  #isReloadWanted = false;
  #isEnding = false;
  readonly #report: Report;

  /**
   * @param places where a worker is wanted, as it changes
   * @param workers all that run, those that are leaving too
   */
  constructor(places: readonly Place[], workers: ReadonlySet<WorkerProcess>, log: Logger, report: Report) {
    this.#report = report;
    this.#places = places;
    this.#workers = workers;
    this.#log = log;
  }

  /** From now on nothing is replaced. */
  end(): void {
    this.#isEnding = true;
  }

  /** One that is asked for while one runs follows it; asking more often makes it no more than one. */
  async reload(): Promise<void> {
    this.#isReloadWanted = true;
    if (this.#isReplacing) {
      this.#log.info('reload: another one follows when this one is done');
      return;
    }
    this.#isReplacing = true;
    while (this.#isReloadWanted && !this.#isEnding) {
      this.#isReloadWanted = false;
      await this.#reloadOnce();
    }
    this.#isReplacing = false;
  }

  /**
   * Starts one worker after the other, while all old ones serve; they go together at the end. Were each to go at once, its clients
   * would crowd on the new workers that are there first, and those that come to an old one would soon have to move again. And so there
   * is a way back: where one fails, the old ones stay, and the new ones go.
   */
  async #reloadOnce(): Promise<void> {
    const startedAt = performance.now();
    this.#log.info('reload: starting');
    this.#report.reloading();
    this.#hurryOldest();
    let reason: string | undefined;
    const replaced = new Map<WorkerProcess, Place>();
    for (const [index, place] of [...this.#places].entries()) {
      const succession = await place.succeed(index === 0 ? PROBATION_MS : 0);
      if (this.#isEnding) return;
      if (succession.replaced !== undefined) replaced.set(succession.replaced, place);
      reason = succession.failure;
      if (reason !== undefined) break;
    }
    const isLost = (place: Place) => this.#places.includes(place) && !place.current?.isReady;
    if ([...replaced.values()].some(isLost)) reason ??= 'a new worker was lost before all of them were ready';
    for (const [worker, place] of replaced) {
      const leaving = reason === undefined ? worker : place.takeBack(worker);
      if (leaving?.isServing) leaving.retire();
    }
    const ms = Math.round(performance.now() - startedAt);
    const at = new Date().toISOString();
    this.#report.reloaded(reason === undefined ? { result: 'ok', at, ms } : { result: 'failed', at, ms, reason });
    if (reason === undefined) this.#log.info({ ms }, 'reload: done');
    else this.#log.error({ ms, reason }, 'reload: failed, the old workers stay');
  }

  /** A worker above MAX_WORKER_RSS_MB is replaced as in a reload, one at a time. */
  async replaceTooLarge(): Promise<void> {
    if (this.#isReplacing || this.#isEnding) return;
    const place = this.#places.find(
      ({ current }) =>
        current?.isReady &&
        current.ageMs > TOO_LARGE_MIN_AGE_MS &&
        current.rssMaxBytes !== null &&
        current.rssBytes > current.rssMaxBytes,
    );
    if (place?.current === undefined) return;
    const { id: workerId, rssBytes } = place.current;
    this.#log.warn({ workerId, rssBytes }, 'worker above MAX_WORKER_RSS_MB: replacing it');
    this.#isReplacing = true;
    const { failure: reason, replaced } = await place.succeed(0);
    replaced?.retire();
    this.#isReplacing = false;
    if (reason === undefined) this.#report.restarted('too_large');
    else this.#log.error({ workerId, reason }, 'worker not replaced');
    if (this.#isReloadWanted) this.reload();
  }

  /** Workers that were replaced may take their time, but there are not to be ever more of them. */
  #hurryOldest(): void {
    const leaving = [...this.#workers].filter(({ isServing }) => !isServing);
    for (const worker of leaving.slice(0, -LEAVING_MAX * this.#places.length)) worker.stop();
  }
}

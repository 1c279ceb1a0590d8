import { Busy } from '../../errors/busy.ts';
import { Refusal } from '../../errors/refusal.ts';
import { BODY_MAX_BYTES, RETRY_AFTER_SECONDS } from './limits.ts';
import type { RefusalMessage } from './messages.ts';

/** What the thread refused, as errors that are answered. */
export function toError({ status, code, detail, mistakes }: RefusalMessage): Error {
  return status === 503 ? new Busy(code, detail, RETRY_AFTER_SECONDS) : new Refusal(status, code, detail, mistakes);
}

export function tooLarge(): Refusal {
  return new Refusal(413, 'BODY_TOO_LARGE', `The events of a request have at most ${BODY_MAX_BYTES} bytes.`);
}

export function queueFull(): Busy {
  return new Busy('QUEUE_FULL', 'The queue is full. Try again later.', RETRY_AFTER_SECONDS);
}

/** Its client is as welcome as others, but later. */
export function bodySlow(): Busy {
  return new Busy(
    'BODY_SLOW',
    'The body arrived too slowly while others were waiting. Try again later.',
    RETRY_AFTER_SECONDS,
  );
}

export function unavailable(): Busy {
  return new Busy('STORE_UNAVAILABLE', 'The store is unavailable. Try again later.', RETRY_AFTER_SECONDS);
}

/** @param url DATABASE_URL */
export function cannotOpen(url: string, reason: string): Error {
  // Neither user nor password, nor options, which may have one in them.
  const shown = url.startsWith('file:') ? url : hostOf(new URL(url));
  return Object.assign(new Error(`Cannot open the event store, ${shown} (DATABASE_URL): ${reason}`), {
    code: 'CANNOT_OPEN_STORE',
  });
}

function hostOf({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}

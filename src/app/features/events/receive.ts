import type { Readable } from 'node:stream';
import { IncomingMessage } from '../../../node-http.ts';
import { Refusal } from '../../errors/refusal.ts';
import type { EventSubmission } from './event-thread.ts';

/**
 * Hands a body on as it arrives, gunzipped where it has to be. Once the answer is known, what still comes is read and
 * dropped: a client that is still sending would not see it otherwise.
 *
 * @returns how many events were accepted, when they have been committed
 */
export async function receive(source: Readable, isGzip: boolean, submission: EventSubmission): Promise<number> {
  let isComplete = false;
  // Loaded by the first body that needs it, not with each start.
  const gunzip = isGzip ? process.getBuiltinModule('node:zlib').createGunzip() : undefined;
  const body = gunzip === undefined ? source : source.pipe(gunzip);
  // Node makes a buffer for each piece of a body. Those of gunzip have more in them, and what a hook put in the place of the body
  // may be anybody's.
  const isOwned = body instanceof IncomingMessage;
  const onData = (bytes: Uint8Array) => submission.write(bytes, isOwned);
  let packedBytes = 0;
  if (gunzip !== undefined) {
    source.on('data', ({ length }: Uint8Array) => {
      packedBytes += length;
    });
  }
  const onEnd = () => {
    // Gunzip takes a zero after a part for the end of all, and ignores what comes then.
    if (gunzip !== undefined && gunzip.bytesWritten < packedBytes) submission.refuse(notGzip());
    else submission.end();
  };
  body.on('data', onData);
  body.on('end', onEnd);
  source.on('end', () => {
    isComplete = true;
  });
  source.on('close', () => {
    if (!isComplete) submission.refuse(clientLeft());
  });
  // It may have left before anybody listened.
  if (source.destroyed && !source.readableEnded) submission.refuse(clientLeft());
  gunzip?.on('error', () => submission.refuse(notGzip()));
  try {
    return await submission.accepted;
  } finally {
    body.off('data', onData);
    body.off('end', onEnd);
    if (gunzip !== undefined) {
      source.unpipe(gunzip);
      gunzip.destroy();
    }
    source.resume();
  }
}

function clientLeft(): Refusal {
  return new Refusal(400, 'CLIENT_LEFT', 'The body did not arrive completely.');
}

function notGzip(): Refusal {
  return new Refusal(400, 'BODY_MALFORMED', 'The body is not whole, valid gzip.');
}

/**
 * Not imported: an import reads all that a module exports, and of this one that loads undici, for its WebSocket. It took 16 ms of
 * each start.
 */
export const { createServer, get, IncomingMessage, STATUS_CODES } = process.getBuiltinModule('node:http');

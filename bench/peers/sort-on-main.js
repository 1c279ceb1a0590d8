// The same sort on the event loop, to be preloaded into the service: GET /sort-here?count=1000000.
import { subscribe } from 'node:diagnostics_channel';
import sort from '../../src/app/features/sort/sort-thread.js';

subscribe('fastify.initialization', ({ fastify }) => {
  fastify.get('/sort-here', (request) => sort(Number(request.query.count)));
});

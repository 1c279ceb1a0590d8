// Events in a stream of Redis, as its official client writes them. An id that comes again is kept again, there is no summary,
// and all events are held in memory: it does less than the service.
import { createClient } from '@redis/client';
import { takeEvents } from './event-service.js';

await takeEvents({
  connect: async () => {
    const client = createClient({ url: process.env.REDIS_URL });
    client.on('error', (error) => console.error(error));
    await client.connect();
    return (events) => {
      // By far the cheapest way of this client to send many: a promise for all of them, not for each.
      const pipeline = client.multi();
      for (const event of events) pipeline.xAdd('events', '*', { event: JSON.stringify(event) });
      return pipeline.execAsPipeline();
    };
  },
});

// Fastify with close-with-grace, as both of them recommend it.
import closeWithGrace from 'close-with-grace';
import { create } from './app.js';

const app = create();
closeWithGrace({ delay: 10_000 }, async ({ err }) => {
  if (err) console.error(err);
  await app.close();
});
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
process.send?.('ready');

import Fastify from 'fastify';

const app = Fastify();
app.get('/hello/:name', (request) => `Hello ${request.params.name}!!!`);
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
process.send?.('ready');

// Express with the graceful shutdown that its documentation and PM2's show.
import express from 'express';

const app = express();
app.get('/greet/:name', (request, response) => {
  response.type('text/plain').send(`Hello ${request.params.name}!!!`);
});
app.post('/echo', express.json({ limit: '1mb' }), (request, response) => {
  response.json(request.body);
});

const server = app.listen(Number(process.env.PORT), '127.0.0.1', () => process.send?.('ready'));
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
  });
}

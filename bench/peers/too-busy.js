// Express with toobusy-js, as its documentation shows it.
import express from 'express';
import tooBusy from 'toobusy-js';
import { burn, usePool } from './work.js';

const app = express();
// Before the shedder, so that it never refuses this one.
app.get('/livez', (_request, response) => {
  response.send('ok');
});
app.use((_request, response, next) => {
  if (tooBusy()) response.status(503).send('Too busy');
  else next();
});
app.get('/hello/:name', (request, response) => {
  response.type('text/plain').send(`Hello ${request.params.name}!!!`);
});
app.get('/burn', (_request, response) => {
  response.send(burn());
});
app.get('/pool', async (_request, response) => {
  response.send(await usePool());
});
app.listen(Number(process.env.PORT), '127.0.0.1');

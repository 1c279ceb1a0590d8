import express from 'express';

const app = express();
app.get('/hello/:name', (request, response) => {
  response.type('text/plain').send(`Hello ${request.params.name}!!!`);
});
app.listen(Number(process.env.PORT), '127.0.0.1', () => process.send?.('ready'));

// node:http with nothing on it: what is left for a framework to add to.
import { createServer } from 'node:http';

const server = createServer((request, response) => {
  const name = request.url.slice('/hello/'.length);
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(`Hello ${name}!!!`);
});
server.listen(Number(process.env.PORT), '127.0.0.1', () => process.send?.('ready'));

// Takes traces and forgets them; with HANGS set, it never answers.
import { createServer } from 'node:http';

createServer((request, response) => {
  request.resume();
  if (request.method === 'GET') response.end('Hello John!!!');
  else if (!process.env.HANGS) request.on('end', () => response.end());
}).listen(Number(process.env.PORT), '127.0.0.1');

// node:cluster as its documentation shows it: two workers that run the file which is named.
import cluster from 'node:cluster';
import path from 'node:path';

cluster.setupPrimary({ exec: path.resolve(process.argv[2]) });
for (let worker = 0; worker < 2; worker++) cluster.fork();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    for (const worker of Object.values(cluster.workers)) worker.kill('SIGKILL');
    process.exit();
  });
}

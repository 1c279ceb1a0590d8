import { expect, it, onTestFinished } from 'vitest';
import { Cluster } from '../../../support/cluster.ts';
import { Pm2 } from '../../../support/pm2.ts';
import { expectWhole, PostingClients } from './posting-clients.ts';
import { onEachStore } from './support.ts';

const ENVIRONMENT = { HOST: '127.0.0.1', PORT: '0', WORKERS: '2', REQUEST_LOG: 'false' };

onEachStore(({ newUrl }) => {
  it('a rolling reload loses and refuses no event', async () => {
    const service = new Cluster({ ...ENVIRONMENT, DATABASE_URL: await newUrl() });
    const url = await service.started(2);
    const clients = new PostingClients(url, 'a');
    await clients.acknowledgedMore(20);
    service.child.kill('SIGHUP');
    await service.logged('reload: done');
    await clients.acknowledgedMore(20);
    await clients.stop();
    expect(clients.failures).toEqual([]);
    await expectWhole(url, clients.acknowledged);
  });

  it('a reload by PM2 loses and refuses no event', async () => {
    const pm2 = new Pm2({ ...ENVIRONMENT, DATABASE_URL: await newUrl() });
    onTestFinished(() => pm2.kill());
    expect(await pm2.run(['start', 'ecosystem.config.js'])).toMatchObject({ code: 0 });
    const ready = pm2.log.find(({ msg }) => msg === 'ready');
    const url = `http://127.0.0.1:${ready?.port}`;
    const clients = new PostingClients(url, 'a');
    await clients.acknowledgedMore(20);
    expect(await pm2.run(['reload', 'ecosystem.config.js'])).toMatchObject({ code: 0 });
    await clients.acknowledgedMore(20);
    await clients.stop();
    expect(clients.failures).toEqual([]);
    await expectWhole(url, clients.acknowledged);
  });
});

import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { defaults } from '../../src/config/settings.ts';
import { descriptors, examine, memory } from '../../src/server/doctor.ts';
import { ROOT } from '../support/paths.ts';
import { Service } from '../support/processes.ts';

describe('the doctor', () => {
  it('says what the host allows, in a line each, and changes nothing', async () => {
    const doctor = new Service('src/server/doctor.js', { WORKERS: '2' });
    expect(await doctor.ended()).toBe(0);
    const text = doctor.output.split('\n').filter(Boolean);
    for (const line of text) expect(line).toMatch(/^(ok {2}|warn) {2}[\w.]+( \w+)?: /);
    expect(doctor.output).toContain(`Node.js: ${process.versions.node}`);
    expect(doctor.output).toContain('descriptors: each worker may have');
  });

  it('names a wrong setting, as the service does', async () => {
    const doctor = new Service('src/server/doctor.js', { PORT: 'abc' });
    expect(await doctor.ended()).toBe(78);
    expect(doctor.output).toContain('PORT must be');
  });

  it('explains itself where --help is asked for, and knows no other option', async () => {
    const helped = new Service('src/server/doctor.js', {}, { args: ['--help'] });
    expect(await helped.ended()).toBe(0);
    expect(helped.output).toMatch(/^Usage: npm run doctor\n/);
    expect(helped.output).not.toMatch(/^ok/m);
    expect(helped.output).toContain('Exits with 0, also when it warns, and with 78 for wrong settings.');
    const refused = new Service('src/server/doctor.js', {}, { args: ['--heal'] });
    expect(await refused.ended()).toBe(78);
    expect(refused.output).toContain("Unknown option '--heal'");
  });

  it.runIf(process.platform === 'linux')('says how to raise what is too little', async () => {
    const doctor = new Service('src/server/doctor.js', { MAX_CONNECTIONS: '5000' }, { openFiles: 1000 });
    expect(await doctor.ended()).toBe(0);
    expect(doctor.output).toMatch(
      /^warn {2}descriptors: the limit on open files leaves each worker about \d+ .*→ .*ulimit -n 6000.*; the hard limit is 1000, and only root can raise it$/m,
    );
  });

  it.each([
    ['/proc/sys/net/core/somaxconn', '128', 'net.core.somaxconn', 'sysctl -w net.core.somaxconn=4096'],
    [
      '/proc/sys/net/ipv4/ip_local_port_range',
      '50000\t60000',
      'net.ipv4.ip_local_port_range',
      'sysctl -w net.ipv4.ip_local_port_range="10240 65535"',
    ],
  ])('advises for %s', (file, content, what, advice) => {
    const findings = examine(defaults, (name) => (name === file ? content : undefined));
    expect(findings.find((finding) => finding.what === what)).toMatchObject({ advice });
  });

  const MB = 1024 * 1024;
  const flags = ['--max-old-space-size-percentage=60'];

  it.each([
    ['warns of heaps that together may take more than there is', 2, 400, [], 400, /unless the service is started with/],
    ['is content where they fit', 2, 100, [], 100, false],
    ['knows that the supervisor shares a percentage among the workers', 2, 307, flags, 154, false],
    ['is not content with a percentage that leaves too little beside the heaps', 8, 307, flags, 38, /lower the perc/],
  ] as const)('%s', (_what, workers, heapMb, given, eachMb, advice) => {
    const finding = memory(workers, 512 * MB, heapMb * MB, [...given]);
    expect(finding.meaning).toBe(
      `512 MB allowed to this process; the heap of each worker (${workers}) may grow to ${eachMb} MB`,
    );
    expect(finding.advice).toEqual(advice && expect.stringMatching(advice));
  });

  it('finds the percentage that a process is started with satisfied by it', () => {
    const command = "import('./src/server/doctor.ts').then(({ memory }) => console.log(JSON.stringify(memory(2))))";
    const { stdout } = spawnSync(process.execPath, [...flags, '-e', command], { cwd: ROOT, encoding: 'utf8' });
    expect(JSON.parse(stdout).advice).toBe(false);
  });

  it('says nothing of descriptors where nothing is known of them', () => {
    expect(descriptors(defaults, 2, Number.POSITIVE_INFINITY)).toEqual([]);
  });

  it('says nothing of root where the hard limit is high enough', () => {
    const advice = expect.stringMatching(/--ulimit nofile= in Docker$/);
    expect(descriptors({ ...defaults, maxConnections: 5000 }, 2, 900, 6000)).toMatchObject({ advice });
  });

  it('says that more workers than cores serve no more', () => {
    const findings = examine({ ...defaults, workers: availableParallelism() + 1 }, () => undefined);
    expect(findings.find(({ what }) => what === 'cores')?.advice).toContain('WORKERS=auto');
  });
});

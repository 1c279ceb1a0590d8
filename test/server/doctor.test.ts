import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { defaults } from '../../src/config/settings.ts';
import { examine } from '../../src/server/doctor.ts';
import { Service } from '../support/processes.ts';

describe('the doctor', () => {
  it('says what the host allows, in a line each, and changes nothing', async () => {
    const doctor = new Service('src/server/doctor.js', { WORKERS: '2' });
    expect(await doctor.ended()).toBe(0);
    const text = doctor.output.split('\n').filter(Boolean);
    for (const line of text) expect(line).toMatch(/^(ok {2}|look) {2}[\w.]+( \w+)?: /);
    expect(doctor.output).toContain(`Node.js: ${process.versions.node}`);
    expect(doctor.output).toContain('descriptors: a process can hold');
  });

  it('names a wrong setting, as the service does', async () => {
    const doctor = new Service('src/server/doctor.js', { PORT: 'abc' });
    expect(await doctor.ended()).toBe(78);
    expect(doctor.output).toContain('PORT must be');
  });

  it.runIf(process.platform === 'linux')('says how to raise what is too little', async () => {
    const doctor = new Service('src/server/doctor.js', { MAX_CONNECTIONS: '5000' }, { openFiles: 1000 });
    expect(await doctor.ended()).toBe(0);
    expect(doctor.output).toMatch(/^look {2}descriptors: .*→ .*ulimit -n 6000/m);
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

  it('says that more workers than cores serve no more', () => {
    const findings = examine({ ...defaults, workers: availableParallelism() + 1 }, () => undefined);
    expect(findings.find(({ what }) => what === 'cores')?.advice).toContain('WORKERS=auto');
  });
});

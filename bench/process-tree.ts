import { readdirSync, readFileSync } from 'node:fs';

/** The kernel counts CPU time in ticks of a hundredth of a second (USER_HZ, fixed in Linux' interface). */
const MS_PER_TICK = 10;

/** A process and all that descend from it. Linux only: it reads /proc. */
export function processTree(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return [pid, ...children.split(' ').filter(Boolean).map(Number).flatMap(processTree)];
  } catch {
    return [];
  }
}

/**
 * CPU milliseconds, user and system, that these processes have used so far, and their children that have ended. What a tree
 * used meanwhile is the difference between two trees, taken before and after: processes come and go.
 */
export function cpuMs(pids: number[]): number {
  return pids.reduce((sum, pid) => sum + cpuOf(pid), 0);
}

function cpuOf(pid: number): number {
  try {
    // The name in the second field may contain spaces, but ends with the last bracket.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    // utime, stime, cutime, cstime.
    return fields.slice(11, 15).reduce((ticks, field) => ticks + Number(field), 0) * MS_PER_TICK;
  } catch {
    return 0;
  }
}

/** Resident bytes of one process, what it shares with others included. */
export function rssBytes(pid: number): number {
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

/**
 * CPU milliseconds that these processes have used so far, to the nanosecond, as the scheduler counts. Threads that have ended
 * are not in it: for a while in which none does.
 */
export function preciseCpuMs(pids: number[]): number {
  return pids
    .flatMap((pid) => readdirSync(`/proc/${pid}/task`).map((thread) => threadCpuMs(pid, Number(thread))))
    .reduce((sum, ms) => sum + ms, 0);
}

/** The same of one thread; the main thread has the number of its process. */
export function threadCpuMs(pid: number, thread: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}

/** Its share of the resident bytes of one process: what several share is divided among them. */
export function pssBytes(pid: number): number {
  const [, kilobytes] = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

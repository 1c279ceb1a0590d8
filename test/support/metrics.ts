/**
 * What a process that runs alone tells at `/metrics`.
 *
 * @param series as in Prometheus' text format, without the label `worker`
 * @returns undefined where there is no such series
 */
export async function metricOf(url: string, series: string): Promise<number | undefined> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text
    .replaceAll(/,?worker="single"/g, '')
    .replaceAll('{}', '')
    .split('\n');
  const line = lines.find((sample) => sample.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

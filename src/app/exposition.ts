/**
 * Puts together what several processes have in Prometheus' text format, each series of which is told apart by a label: all samples of
 * a metric have to stand together, under one head.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function mergeExpositions(texts: readonly string[]): string {
  /** By `# HELP` and `# TYPE`. */
  const metrics = new Map<string, string[]>();
  for (const text of texts) {
    let samples: string[] = [];
    let help = '';
    for (const line of text.split('\n')) {
      if (line.startsWith('# HELP ')) help = line;
      else if (line.startsWith('# TYPE ')) {
        const head = `${help}\n${line}`;
        samples = metrics.get(head) ?? [];
        metrics.set(head, samples);
      } else if (line !== '') samples.push(line);
    }
  }
  const told = [...metrics].filter(([, samples]) => samples.length > 0);
  return told.map(([head, samples]) => `${[head, ...samples].join('\n')}\n`).join('\n');
}

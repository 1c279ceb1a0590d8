/**
 * Puts together what several processes have in Prometheus' text format, each series of which is told apart by a label: all samples of
 * a metric have to stand together, under one head.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function mergeExpositions(texts: readonly string[]): string {
  /** By name: processes of two versions may have another text for the same one, and the first one's stands. */
  const metrics = new Map<string, { readonly head: string; readonly samples: string[] }>();
  for (const text of texts) {
    let samples: string[] = [];
    let help = '';
    for (const line of text.split('\n')) {
      if (line.startsWith('# HELP ')) help = line;
      else if (line.startsWith('# TYPE ')) {
        const [, , name = ''] = line.split(' ', 3);
        const metric = metrics.get(name) ?? { head: `${help}\n${line}`, samples: [] };
        metrics.set(name, metric);
        ({ samples } = metric);
      } else if (line !== '') samples.push(line);
    }
  }
  const told = [...metrics.values()].filter(({ samples }) => samples.length > 0);
  return told.map(({ head, samples }) => `${[head, ...samples].join('\n')}\n`).join('\n');
}

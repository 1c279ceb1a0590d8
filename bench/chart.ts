const WIDTH = 800;
const ROW_HEIGHT = 34;
const OURS = '#2f6f4f';
const OTHERS = '#9aa5b1';

export type Bar = { readonly name: string; readonly value: number; readonly isOurs: boolean };

/** Lying bars, the longest on top, as SVG. Drawn by ECharts. */
export async function barChart(title: string, bars: readonly Bar[]): Promise<string> {
  const { init } = await import('echarts');
  const sorted = [...bars].sort((a, b) => a.value - b.value);
  const height = ROW_HEIGHT * bars.length + 70;
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: { text: title, left: 10, top: 8, textStyle: { fontSize: 15 } },
    grid: { left: 10, right: 80, top: 45, bottom: 10, containLabel: true },
    xAxis: { type: 'value', axisLabel: { show: false }, splitLine: { show: false } },
    yAxis: { type: 'category', data: sorted.map(({ name }) => name), axisTick: { show: false } },
    series: [
      {
        type: 'bar',
        data: sorted.map(({ value, isOurs }) => ({
          value: Math.round(value),
          itemStyle: { color: isOurs ? OURS : OTHERS },
        })),
        label: { show: true, position: 'right' },
      },
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

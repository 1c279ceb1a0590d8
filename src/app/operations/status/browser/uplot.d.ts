import type UPlot from 'uplot';

declare global {
  /** The page loads it before the others. */
  const uPlot: typeof UPlot;
}

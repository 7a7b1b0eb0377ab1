// Time series of rolling windows with uPlot: complete minutes as lines, those still filling dotted behind them.
'use strict';
window.Charts = (() => {
  const kHeight = 190;
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Shades what follows the last complete window, which later rows still change.
  function partialPlugin(state) {
    return {hooks: {drawClear: (plot) => {
      if (state.complete >= state.ends.length) return;
      const from = state.complete > 0 ? state.ends[state.complete - 1] : plot.scales.x.min;
      const left = plot.valToPos(Math.max(from, plot.scales.x.min), 'x', true);
      const right = plot.bbox.left + plot.bbox.width;
      if (left >= right) return;
      plot.ctx.save();
      plot.ctx.fillStyle = style('--line');
      plot.ctx.globalAlpha = 0.55;
      plot.ctx.fillRect(left, plot.bbox.top, right - left, plot.bbox.height);
      plot.ctx.restore();
    }}};
  }

  class Chart {
    constructor(host, format) {
      this.host = host;
      this.format = format;
      this.state = {ends: [], complete: 0};
      this.plot = null;
      this.shape = '';
      new ResizeObserver(() => this.plot && this.plot.setSize({width: this.host.clientWidth, height: kHeight})).observe(host);
    }

    // `ends`: where each window ends, seconds since the epoch; the first `complete` of them are complete.
    // series: [{label, color (CSS variable), values}]; each is split into what is complete and what is not.
    show(ends, complete, series) {
      this.state.ends = ends;
      this.state.complete = complete;
      const data = [ends];
      for (const one of series) {
        data.push(one.values.map((value, i) => (i < complete ? value : null)));
        data.push(one.values.map((value, i) => (i >= complete - 1 ? value : null)));
      }
      const shape = JSON.stringify(series.map((one) => [one.label, one.color])) + document.documentElement.dataset.theme;
      if (this.plot && shape === this.shape) {
        this.plot.setData(data);
        return;
      }
      if (this.plot) this.plot.destroy();
      this.shape = shape;
      this.plot = new uPlot(this.options(series), data, this.host);
      this.plot.root.setAttribute('aria-hidden', 'true');  // the table below has the same figures
    }

    options(series) {
      const axis = {stroke: style('--quiet'), grid: {stroke: style('--line'), width: 1}, ticks: {stroke: style('--line'), size: 4}, font: '11px system-ui, sans-serif'};
      const value = (_, v) => (v === null || v === undefined ? '' : this.format(v));
      const lines = series.flatMap((one) => [
        {label: one.label, stroke: style(one.color), width: 2, points: {show: false}, value},
        {label: '', stroke: style(one.color), width: 2, dash: [3, 4], points: {show: false}, value},
      ]);
      return {
        width: this.host.clientWidth, height: kHeight, padding: [8, 20, 0, 0],
        cursor: {points: {size: 7}, sync: {key: 'minutes'}, drag: {x: false, y: false}},
        legend: {show: true, live: true},
        scales: {y: {range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1]}},
        axes: [
          {...axis, space: 60, size: 28, values: (_, ticks) => ticks.map((t) => Format.minute(t * 1000))},
          {...axis, size: 52, values: (_, ticks) => ticks.map((t) => this.format(t))},
        ],
        series: [{label: '', value: (_, t) => (t === null ? '' : `to ${Format.minute(t * 1000)}`)}, ...lines],
        plugins: [partialPlugin(this.state)],
        hooks: {ready: [(plot) => {
          // One entry a series in the legend: the dotted half belongs to the line before it.
          plot.root.querySelectorAll('.u-legend .u-series').forEach((row, i) => { if (i > 0 && i % 2 === 0) row.remove(); });
        }]},
      };
    }
  }

  return {Chart};
})();

// Asks the API, follows /events, fills the page. All figures come from the API as they are; what is derived here is only a division by the window's length.
'use strict';
window.Format = {
  count(n) {
    if (n === null || n === undefined) return '–';
    const a = Math.abs(n);
    if (a >= 1e9) return (n / 1e9).toFixed(1) + ' G';
    if (a >= 1e6) return (n / 1e6).toFixed(1) + ' M';
    if (a >= 1e4) return (n / 1e3).toFixed(1) + ' k';
    if (a >= 100 || Number.isInteger(n)) return Math.round(n).toLocaleString('en');
    return a >= 10 ? n.toFixed(1) : n.toFixed(2);
  },
  bytes(n) {
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let i = 0;
    while (n >= 1000 && i < units.length - 1) { n /= 1000; ++i; }
    return `${i ? n.toFixed(n < 10 ? 2 : 1) : n} ${units[i]}`;
  },
  milliseconds(v) {
    if (v === null || v === undefined) return '–';
    if (v === 0) return '0 ms';
    if (v >= 1e4) return (v / 1e3).toFixed(1) + ' s';
    return v >= 100 ? `${Math.round(v)} ms` : v >= 10 ? `${v.toFixed(1)} ms` : `${v.toFixed(2)} ms`;
  },
  percent: (v) => (v === null ? '–' : v === 0 ? '0 %' : v < 0.0001 ? '< 0.01 %' : `${(v * 100).toFixed(v < 0.1 ? 2 : 1)} %`),
  seconds(s) {
    if (s === null || s === undefined) return '–';
    if (s < 10) return `${s.toFixed(1)} s`;
    if (s < 120) return `${Math.round(s)} s`;
    if (s < 7200) return `${Math.round(s / 60)} min`;
    return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`;
  },
  minute: (ms) => new Date(ms).toISOString().slice(11, 16),
  second: (ms) => new Date(ms).toISOString().slice(11, 19),
};

(() => {
  const $ = (id) => document.getElementById(id);
  const kColors = ['--c1', '--c2', '--c3', '--c4', '--c5', '--c6'];
  const kLines = 5;
  const kAll = '\u0000all';  // no service can have this name
  const make = (name, properties, ...children) => {
    const element = Object.assign(document.createElement(name), properties || {});
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  const state = {topology: null, parts: null, status: null, received: 0, skew: 0, dashboard: null, group: kAll, versions: {}, connected: false};
  const charts = {
    rate: new Charts.Chart($('rate'), Format.count),
    errors: new Charts.Chart($('errors'), Format.count),
    latency: new Charts.Chart($('latency'), Format.milliseconds),
  };
  const serverNow = () => Date.now() + state.skew;

  async function ask(path) {
    const response = await fetch(path);
    const body = await response.json();
    if (!response.ok) throw new Error(body.error || response.statusText);
    return body;
  }

  // --- the five complete minutes
  function perWindow(count) { return count === null ? null : count / (state.dashboard.window_minutes * 60); }

  function tile(label, value, unit, bad) {
    return make('div', {className: bad ? 'bad' : ''}, make('dt', {textContent: label}), make('dd', {}, value, unit ? make('small', {textContent: ' ' + unit}) : ''));
  }

  function chosen() {
    const d = state.dashboard;
    return state.group === kAll ? d.all : d.groups.find((group) => group.name === state.group) || d.all;
  }

  function showTiles() {
    const d = state.dashboard, window = chosen().window;
    if (!window) {
      $('tiles').replaceChildren(make('p', {className: 'none', textContent: 'Five complete minutes are not there yet.'}));
      return;
    }
    const ratio = window.n ? window.errors / window.n : null;
    $('tiles').replaceChildren(tile('Events a second', Format.count(perWindow(window.n))), tile('Events', window.n.toLocaleString('en')),
      tile('Errors', window.errors.toLocaleString('en'), Format.percent(ratio), ratio > 0.02),
      ...(d.measure ? ['p50', 'p95', 'p99'].map((p) => tile(`${d.measure} ${p}`, measured(window[p]))) : []));
  }

  const isTime = () => /_ms$/.test(state.dashboard.measure);
  const measured = (value) => (isTime() ? Format.milliseconds(value) : Format.count(value));

  function showCharts() {
    const d = state.dashboard, one = chosen();
    const several = state.group === kAll;
    const groups = several ? d.groups.slice(0, kLines) : [one];
    const color = (i) => kColors[i % kColors.length];
    // A young table has nothing to show for most of the hour: begin where it begins, with a quarter of an hour at least.
    const begins = d.all.rolling.n.findIndex((n) => n > 0);
    const from = Math.max(0, Math.min(begins < 0 ? 0 : begins - 1, d.minutes.length - 15));
    const lines = (pick) => groups.map((group, i) => ({label: group.name, color: color(several ? i : Math.max(0, d.groups.indexOf(one))), values: pick(group).slice(from)}));
    const top = several && d.groups.length > kLines ? `, the ${kLines} largest` : '';
    $('rate-title').textContent = `Events a second by ${d.by || 'all'}${top}`;
    $('errors-title').textContent = `Errors a minute by ${d.by || 'all'}${top}`;
    $('latency-title').textContent = d.measure ? `${isTime() ? `Latency (${d.measure})` : d.measure}, ${several ? `every ${d.by || 'event'}` : one.name}` : 'No measure';
    const ends = d.minutes.slice(from).map((minute) => minute + 60), complete = Math.max(0, d.complete - from);
    charts.rate.show(ends, complete, lines((group) => group.rolling.n.map(perWindow)));
    charts.errors.show(ends, complete, lines((group) => group.rolling.errors.map((n) => n / d.window_minutes)));
    charts.latency.format = measured;
    charts.latency.show(ends, complete, [['p50', '--c3'], ['p95', '--c5'], ['p99', '--c2']].map(([p, c]) => ({label: p, color: c, values: one.rolling[p].slice(from)})));
  }

  function showGroups() {
    const d = state.dashboard;
    $('by-label').textContent = $('group-head').textContent = d.by || 'group';
    const names = [kAll, ...d.groups.map((group) => group.name)];
    const select = $('group');
    if (select.dataset.names !== names.join('\n')) {
      select.dataset.names = names.join('\n');
      select.replaceChildren(...names.map((name) => make('option', {value: name, textContent: name === kAll ? `every ${d.by || 'event'}` : name})));
    }
    if (!names.includes(state.group)) state.group = kAll;
    select.value = state.group;
    const rows = d.groups.filter((group) => group.window).map((group, i) => {
      const w = group.window, ratio = w.n ? w.errors / w.n : null;
      const swatch = make('span', {className: 'swatch'});
      if (i < kLines) swatch.style.background = `var(${kColors[i % kColors.length]})`;
      const pick = make('button', {type: 'button', textContent: group.name, onclick: () => choose(state.group === group.name ? kAll : group.name)});
      const row = make('tr', {}, make('td', {}, swatch, pick), ...[Format.count(perWindow(w.n)), w.errors.toLocaleString('en'), Format.percent(ratio), measured(w.p50), measured(w.p95), measured(w.p99)]
        .map((text, c) => make('td', {className: 'num' + (c === 2 && ratio > 0.02 ? ' bad' : ''), textContent: text})));
      row.setAttribute('aria-selected', String(state.group === group.name));
      return row;
    });
    const focused = document.activeElement?.closest?.('#groups button')?.textContent;
    $('groups').tBodies[0].replaceChildren(...rows);
    if (focused) [...document.querySelectorAll('#groups button')].find((button) => button.textContent === focused)?.focus();
  }

  function showDashboard() {
    const d = state.dashboard;
    if (!d) return;
    $('window').textContent = d.complete_until_ms === null ? '' : `${Format.minute(d.complete_until_ms - d.window_minutes * 60000)} – ${Format.minute(d.complete_until_ms)} UTC`;
    const notes = ['Each point is the five minutes that end there.'];
    if (d.complete < d.minutes.length) notes.push('Shaded: minutes still filling.');
    if (d.late_rows_24h) notes.push(`${d.late_rows_24h.toLocaleString('en')} late rows of the last 24 h have restated their minutes.`);
    if (d.incomplete) notes.push(d.incomplete[0].toUpperCase() + d.incomplete.slice(1) + '.');
    if (d.groups_total > d.groups.length) notes.push(`The ${d.groups.length} largest of ${d.groups_total} are shown.`);
    $('notes').textContent = notes.join(' ');
    showGroups();
    showTiles();
    showCharts();
  }

  function choose(name) {
    state.group = name;
    showDashboard();
  }

  // --- pages
  function keyText(key) { return Object.entries(key || {}).map(([name, value]) => `${name} ${value}`).join(', '); }

  // A row of bronze in one line: its time, its own columns, and the message its payload carries; the whole of it behind a click.
  function sampleRow(sample) {
    let row = sample, payload = null;
    try { row = typeof sample === 'string' ? JSON.parse(sample) : sample; } catch { return make('pre', {textContent: sample}); }
    try { payload = JSON.parse(row.raw); } catch { payload = null; }
    const inner = /^(ts|arrival|raw|bytes|source|record_index|pattern_id|kafka_.*)$/;
    const columns = Object.entries(row).filter(([name, value]) => !inner.test(name) && value !== null && value !== '').map(([name, value]) => `${name} ${value}`);
    const message = payload?.message ?? payload?.msg ?? payload?.body ?? row.message;
    return make('details', {className: 'sample'}, make('summary', {}, make('b', {textContent: String(row.ts || '').slice(11, 23)}), ` ${columns.join(' · ')}`,
      message ? make('q', {textContent: String(message)}) : null), make('pre', {textContent: JSON.stringify(payload ? {...row, raw: payload} : row, null, 2)}));
  }

  function evidence(page) {
    const list = make('dl');
    const add = (term, ...value) => list.append(make('dt', {textContent: term}), make('dd', {}, ...value));
    const e = page.evidence || {};
    add('value', `${page.value === null ? '–' : Format.count(page.value)}${e.window ? ` over ${e.window}` : ''}`);
    add('began', `${Format.second(page.began_at_ms)} UTC`);
    if (page.event_to_page_ms !== null) add('delivered', `${Format.seconds(page.event_to_page_ms / 1000)} after the condition held`);
    const targets = (page.targets || []).filter((target) => target.target);
    if (targets.length) add('targets', targets.map((target) => `${target.target}: ${target.status}${target.detail ? ` (${target.detail})` : ''}`).join(', '));
    if (page.incomplete?.length) add('incomplete', page.incomplete.join(', '));
    if (e.samples?.length) add('rows', ...e.samples.map(sampleRow));
    if (e.sql) add('the rest', make('pre', {textContent: e.sql}));
    return list;
  }

  const alertName = (page) => page.labels?.alertname || page.rule.split('/').pop();
  const summaryOf = (page) => page.annotations?.summary || keyText(page.key);

  function showPages(pages) {
    const firing = pages.firing.map((page) => make('article', {className: 'page'},
      make('h4', {textContent: `${alertName(page)} · ${keyText(page.key)}`}), make('p', {textContent: summaryOf(page)}), evidence(page)));
    $('firing').replaceChildren(...(firing.length ? firing : [make('p', {className: 'none', textContent: 'Nothing is firing.'})]));
    const open = new Set([...document.querySelectorAll('#recent details[open]')].map((one) => one.dataset.id));
    const recent = pages.recent.slice(0, 15).map((page) => {
      const took = page.event_to_page_ms === null ? '' : `paged after ${Format.seconds(page.event_to_page_ms / 1000)}`;
      const details = make('details', {}, make('summary', {}, make('span', {className: 'quiet', textContent: Format.second(page.boundary_ms)}),
        make('span', {className: `chip ${page.kind}`, textContent: page.kind}),
        make('span', {className: 'what', textContent: `${alertName(page)} · ${summaryOf(page)}`}), make('span', {className: 'quiet took', textContent: took})),
        make('div', {className: 'page'}, evidence(page)));
      details.dataset.id = `${page.generation}/${page.rule}/${JSON.stringify(page.key)}/${page.seq}`;
      details.open = open.has(details.dataset.id);
      return make('li', {}, details);
    });
    $('recent').replaceChildren(...(recent.length ? recent : [make('li', {className: 'none', textContent: 'No page yet.'})]));
    document.title = pages.firing.length ? `(${pages.firing.length}) Headpond` : 'Headpond';
  }

  // --- bill
  function showBill(bill) {
    if (!bill) {
      $('bill').replaceChildren(make('p', {className: 'none', textContent: 'No day has been billed yet. A day closes when every partition has passed midnight UTC.'}));
      return;
    }
    const total = Number(bill.bill.total);
    const rows = (bill.bill.top || []).slice(0, 8).map((line) => {
      const bar = make('i');
      bar.style.width = `${total > 0 ? Math.max(0, Math.min(100, (Number(line.amount) / total) * 100)) : 0}%`;
      return make('tr', {}, make('td', {className: 'share'}, line.tenant, bar), make('td', {className: 'num', textContent: line.amount}));
    });
    const link = (href, textContent) => make('a', {href, textContent});
    $('bill').replaceChildren(
      make('p', {className: 'quiet', textContent: `${bill.day}, ${bill.bill.tenants} tenants, ${bill.totals.events.toLocaleString('en')} events, ${Format.bytes(bill.totals.bytes)}`}),
      make('p', {className: 'total'}, bill.bill.total, make('small', {textContent: ' ' + bill.bill.currency})),
      make('table', {}, make('tbody', {}, ...rows)),
      make('p', {className: 'links'}, link(bill.report, 'Report'), link(bill.csv, 'CSV'), link(bill.certificate, `Certificate: ${bill.partitions} offset ranges`)));
  }

  // --- live
  async function refresh(versions) {
    const changed = (name) => state.versions[name] !== versions[name];
    const minute = Math.floor(serverNow() / 60000);
    const complete = state.status?.branches.find((branch) => branch.kind === 'dashboard')?.complete_until ?? null;
    const tasks = [];
    if (changed('gold') || state.minute !== minute || state.complete !== complete)
      tasks.push(ask('api/dashboard').then((d) => { state.dashboard = d; showDashboard(); }).catch((error) => { $('notes').textContent = error.message; }));
    if (changed('pages')) tasks.push(ask('api/pages').then(showPages).catch(() => $('firing').replaceChildren(make('p', {className: 'none', textContent: 'No pager in this topology.'}))));
    if (changed('bill')) tasks.push(ask('api/bill').then(showBill));
    Object.assign(state, {versions, minute, complete});
    await Promise.allSettled(tasks);
  }

  function showFresh() {
    const element = $('fresh');
    if (!state.connected) {
      element.className = 'fresh lost';
      element.textContent = state.received ? `no connection; what you see is ${Format.seconds((Date.now() - state.received) / 1000)} old` : 'no connection to headpond serve';
      return;
    }
    const until = state.dashboard?.complete_until_ms;
    if (until === null || until === undefined) {
      element.className = 'fresh stale';
      element.textContent = 'no complete minute yet';
      return;
    }
    // The newest complete minute normally ends one trigger, one minute and the allowed lateness ago.
    const age = (serverNow() - until) / 1000;
    element.className = age > 180 ? 'fresh stale' : 'fresh';
    element.textContent = `last complete minute ${Format.minute(until - 60000)}, ${Format.seconds(Math.max(0, Math.round(age)))} ago`;
  }

  function showTrouble() {
    const bad = state.status.branches.filter((branch) => ['failed', 'not running', 'stopped', 'late', 'backing off'].includes(branch.verdict));
    $('trouble').hidden = bad.length === 0;
    $('trouble').textContent = bad.map((branch) => `${branch.branch} is ${branch.verdict}${branch.verdict === 'late' ? `, ${Format.seconds(branch.freshness_s)} against a promise of ${Format.seconds(branch.promise_s)}` : ''}${branch.message ? `: ${branch.message}` : ''}`).join(' · ');
  }

  function take(status) {
    state.status = status;
    state.received = Date.now();
    state.skew = status.now_ms - Date.now();
    state.connected = true;
    Picture.update(state.parts, state.topology, status);
    showTrouble();
    refresh(status.versions).finally(showFresh);
  }

  function follow() {
    const events = new EventSource('events');
    events.addEventListener('status', (event) => take(JSON.parse(event.data)));
    events.onerror = () => {
      state.connected = false;
      showFresh();
      if (events.readyState === EventSource.CLOSED) setTimeout(follow, 3000);
    };
    setInterval(() => {
      if (Date.now() - state.received > 15000) state.connected = false;
      showFresh();
    }, 1000);
  }

  function theme(name) {
    document.documentElement.dataset.theme = name;
    if (state.dashboard) showDashboard();
  }

  async function start() {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    theme(localStorage.getItem('theme') || (dark.matches ? 'dark' : 'light'));
    dark.addEventListener('change', () => { if (!localStorage.getItem('theme')) theme(dark.matches ? 'dark' : 'light'); });
    $('theme').onclick = () => {
      const next = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
      localStorage.setItem('theme', next);
      theme(next);
    };
    $('group').onchange = () => choose($('group').value);
    state.topology = await ask('api/topology');
    $('name').textContent = state.topology.name;
    state.parts = Picture.draw($('picture'), state.topology);
    follow();
  }
  start().catch(() => {
    showFresh();
    setTimeout(() => location.reload(), 3000);
  });
})();

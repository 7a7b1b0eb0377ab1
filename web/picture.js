// The topology as a picture: Kafka topic → bronze → branches, with rate, lag and freshness on every edge. Two layouts, wide and tall; CSS shows one.
'use strict';
window.Picture = (() => {
  const kSvg = 'http://www.w3.org/2000/svg';

  function make(name, attributes, ...children) {
    const element = document.createElementNS(kSvg, name);
    for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
    for (const child of children) element.append(child);
    return element;
  }
  const text = (x, y, cls, content, anchor) => make('text', {x, y, class: cls, 'text-anchor': anchor || 'start'}, content || '');

  function node(box, title, sub, cls, tag) {
    const group = make('g', {class: `node ${cls}`}, make('rect', {x: box.x, y: box.y, width: box.w, height: box.h, rx: 10}),
      text(box.x + 14, box.y + 23, 'title', title), text(box.x + 14, box.y + 42, 'sub', sub));
    if (tag) {
      const width = 18 + tag.length * 6.8;
      group.append(make('g', {class: 'tag'}, make('rect', {x: box.x + 14, y: box.y + 51, width, height: 20, rx: 10}),
        text(box.x + 14 + width / 2, box.y + 65, '', tag, 'middle')), text(box.x + 22 + width, box.y + 65, 'sub state', ''));
    }
    group.append(make('circle', {class: 'dot', cx: box.x + box.w - 14, cy: box.y + 17, r: 4.5}));
    return group;
  }

  // `at`: where its lines of figures go: x, anchor, and a y for each of rate, lag and age.
  function edge(path, at) {
    return make('g', {class: 'edge'}, make('path', {class: 'pipe', d: path}), make('path', {class: 'flow', d: path}),
      text(at.x, at.rate, 'rate', '', at.anchor), text(at.x, at.lag, 'sub lag', '', at.anchor), text(at.x, at.age, 'sub age', '', at.anchor));
  }

  // "0 2 * * *" → "daily at 02:00"; any other cron as it is written.
  function schedule(cron) {
    const daily = /^(\d{1,2}) (\d{1,2}) \* \* \*$/.exec(cron || '');
    return daily ? `daily at ${daily[2].padStart(2, '0')}:${daily[1].padStart(2, '0')}` : cron || 'nightly';
  }

  function describe(branch) {
    const rhythm = branch.kind === 'dashboard' ? `every ${Format.seconds(branch.trigger_s || 60)}`
      : branch.kind === 'billing' ? schedule(branch.schedule) : 'stream';
    return `${branch.kind} · ${branch.engine} · ${rhythm}`;
  }

  function shorten(name, room) { return name.length > room ? name.slice(0, room - 1) + '…' : name; }

  function wide(topology, parts) {
    const rows = topology.branches.length, step = 100, height = Math.max(rows * step + 4, 140), middle = height / 2;
    const svg = make('svg', {class: 'wide', viewBox: `0 0 1160 ${height}`, role: 'img', 'aria-labelledby': 'picture-title'});
    const kafka = {x: 2, y: middle - 28, w: 200, h: 56}, bronze = {x: 420, y: middle - 28, w: 210, h: 56};
    parts['kafka→bronze'].push(svg.appendChild(edge(`M${kafka.x + kafka.w + 6} ${middle} H${bronze.x - 6}`, {x: 311, rate: middle - 12, lag: middle + 24, age: middle + 41, anchor: 'middle'})));
    topology.branches.forEach((branch, i) => {
      const y = i * step + step / 2 + 2, box = {x: 868, y: y - 42, w: 290, h: 84};
      const from = bronze.x + bronze.w + 6;
      const path = `M${from} ${middle} C${from + 34} ${middle} ${from + 14} ${y} ${from + 48} ${y} H${box.x - 6}`;
      parts[`bronze→${branch.name}`].push(svg.appendChild(edge(path, {x: from + 52, rate: y - 12, lag: y + 22, age: y + 38, anchor: 'start'})));
      parts.nodes[branch.name].push(svg.appendChild(node(box, shorten(branch.name, 30), describe(branch), branch.kind, branch.tag || '')));
    });
    parts.nodes.kafka.push(svg.appendChild(node(kafka, shorten(topology.source.topic, 20), `Kafka topic · ${topology.source.encoding}`, 'kafka')));
    parts.nodes.bronze.push(svg.appendChild(node(bronze, 'bronze', '', 'bronze')));
    return svg;
  }

  function tall(topology, parts) {
    const width = 360, step = 150, top = 172, height = top + topology.branches.length * step - 8;
    const svg = make('svg', {class: 'tall', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-labelledby': 'picture-title'});
    parts['kafka→bronze'].push(svg.appendChild(edge('M40 62 V108', {x: 60, rate: 79, lag: 97, age: 97, anchor: 'start'})));
    topology.branches.forEach((branch, i) => {
      const y = top + i * step, box = {x: 52, y: y + 54, w: width - 54, h: 84};
      parts[`bronze→${branch.name}`].push(svg.appendChild(edge(`M24 ${top + 2} V${box.y + 28} Q24 ${box.y + 42} 38 ${box.y + 42} H46`, {x: 60, rate: y + 25, lag: y + 43, age: y + 43, anchor: 'start'})));
      parts.nodes[branch.name].push(svg.appendChild(node(box, shorten(branch.name, 34), describe(branch), branch.kind, branch.tag || '')));
    });
    parts.nodes.kafka.push(svg.appendChild(node({x: 2, y: 2, w: width - 4, h: 56}, shorten(topology.source.topic, 34), `Kafka topic · ${topology.source.encoding}`, 'kafka')));
    parts.nodes.bronze.push(svg.appendChild(node({x: 2, y: 112, w: width - 4, h: 56}, 'bronze', '', 'bronze')));
    return svg;
  }

  function draw(host, topology) {
    const parts = {nodes: {kafka: [], bronze: []}, 'kafka→bronze': []};
    for (const branch of topology.branches) {
      parts.nodes[branch.name] = [];
      parts[`bronze→${branch.name}`] = [];
    }
    host.replaceChildren(wide(topology, parts), tall(topology, parts));
    return parts;
  }

  function health(verdict) {
    if (verdict === 'running') return '';
    return verdict === 'late' || verdict === 'starting' || verdict === 'backing off' ? 'late' : 'bad';
  }

  function figures(edge, branch) {
    if (!edge.running) return [edge.verdict, edge.freshness_s ? `complete ${Format.seconds(edge.freshness_s)} ago` : '', ''];
    const count = (n, unit) => `${Format.count(n)} ${n === 1 ? unit.slice(0, -1) : unit} behind`;
    const lag = edge.lag === null ? '' : count(edge.lag, edge.lag_unit);
    const rate = edge.rows_per_s === null ? '' : `${Format.count(edge.rows_per_s)} rows/s`;
    if (branch && branch.kind === 'billing') {
      const day = edge.freshness_s === null ? 'no day closed yet' : edge.freshness_s === 0 ? 'every closed day is billed' : `a day is due since ${Format.seconds(edge.freshness_s)}`;
      return [rate || 'once a day', day, ''];
    }
    return [rate, lag, edge.freshness_s === null ? 'nothing complete yet' : `complete ${Format.seconds(edge.freshness_s)} ago`];
  }

  // The tall layout has room for one line below the rate.
  function write(part, [rate, lag, age]) {
    part.querySelector('.rate').textContent = rate;
    const oneLine = part.querySelector('.lag').getAttribute('y') === part.querySelector('.age').getAttribute('y');
    part.querySelector('.lag').textContent = oneLine ? [lag, age].filter(Boolean).join(' · ') : lag;
    part.querySelector('.age').textContent = oneLine ? '' : age;
  }

  function update(parts, topology, status) {
    const branches = Object.fromEntries(topology.branches.map((branch) => [branch.name, branch]));
    for (const edge of status.edges) {
      const lines = figures(edge, branches[edge.to]);
      const state = health(edge.verdict), owner = edge.from === 'kafka' ? 'bronze' : edge.to;
      for (const part of parts[`${edge.from}→${edge.to}`] || []) {
        part.setAttribute('class', `edge ${state}`);
        write(part, lines);
        part.querySelector('.flow').classList.toggle('moving', edge.running && edge.rows_per_s > 0);
      }
      for (const one of parts.nodes[owner] || []) {
        one.querySelector('.dot').setAttribute('class', `dot ${state}`);
        const word = one.querySelector('.state');
        if (word) word.textContent = branches[owner] && edge.verdict !== 'running' ? edge.verdict : `for ${(branches[owner].serves || []).join(', ')}`;
      }
    }
    const version = status.bronze_version < 0 ? 'no version yet' : `version ${status.bronze_version.toLocaleString('en')}`;
    for (const one of parts.nodes.bronze) one.querySelector('.sub').textContent = `Delta table · ${version}`;
    for (const one of parts.nodes.kafka) {
      const lost = health((status.edges[0] || {}).verdict);
      one.querySelector('.dot').setAttribute('class', `dot ${lost}`);
    }
  }

  return {draw, update};
})();

// The checks of KafkaJS: node harness.js BROKERS PREFIX REFERENCE FACTOR AREAS. See ../client.go for what is printed.
'use strict';

const { Kafka, CompressionTypes, CompressionCodecs, logLevel, AssignerProtocol } = require('kafkajs');
const lz4 = require('lz4js');
const zstd = require('@bokuweb/zstd-wasm');

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => Buffer.from(lz4.compress(encoder.buffer)),
  decompress: async buffer => Buffer.from(lz4.decompress(buffer)),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async buffer => Buffer.from(zstd.decompress(buffer)),
});

const [brokers, prefix, reference, factorText, areas] = process.argv.slice(2);
const factor = Number(factorText);
const kafka = new Kafka({ clientId: 'compat', brokers: brokers.split(','), logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } });
const admin = kafka.admin();

// The rule of the records, see ../rule.go. KafkaJS writes no headers without a value.
const COUNT = 300, PARTITIONS = 3, EPOCH = 1700000000000;
const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD };
const key = i => (i % 7 === 0 ? null : i % 11 === 0 ? '' : 'k' + i);
// Not every client sends a record with neither key nor value.
const value = i => (i % 13 === 0 && i % 7 !== 0 ? null : i % 17 === 0 ? '' : `v${i}-${'x'.repeat((i * 37) % 500)}`);
const headers = i => (i % 3 === 0 ? {} : i % 3 === 1 ? { h: `w${i}-0` } : { h: [`w${i}-0`, `w${i}-1`] });

const text = b => (b === null || b === undefined ? null : Array.isArray(b) ? b.map(text) : b.toString());
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

function same(want, got, what) {
  const [w, g] = [JSON.stringify(want), JSON.stringify(got)];
  if (w !== g) throw new Error(`${what} is ${g}, not ${w}`.slice(0, 400));
}

async function until(what, fn, ms = 30000) {
  const end = Date.now() + ms;
  while (!(await fn())) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(20);
  }
}

async function told(area, name, fn) {
  if (!areas.split(',').includes(area)) return;
  let line;
  try {
    line = ['ok', area, name, await fn()];
  } catch (e) {
    line = ['FAIL', area, name, `${e.name}: ${e.message}`];
  }
  console.log(line.map(f => String(f).replace(/[\t\n]/g, ' ')).join('\t'));
}

async function topic(name, partitions, config = {}) {
  const t = `${prefix}-${name}`;
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
  await admin.createTopics({ topics: [{ topic: t, numPartitions: partitions, replicationFactor: factor, configEntries }] });
  return t;
}

async function produce(t, messages, more = {}, send = {}) {
  const p = kafka.producer(more);
  await p.connect();
  try {
    return await p.send({ topic: t, messages, acks: -1, ...send });
  } finally {
    await p.disconnect();
  }
}

let readers = 0;

// read takes records of a topic from its beginning, until enough says so. KafkaJS reads in groups only.
async function read(t, enough) {
  const c = kafka.consumer({ groupId: `${prefix}-reader-${readers++}`, maxWaitTimeInMs: 100 });
  await c.connect();
  await c.subscribe({ topics: [t], fromBeginning: true });
  const all = [];
  await c.run({ autoCommit: false, eachBatch: async ({ batch }) => all.push(...batch.messages.map(m => ({ ...m, partition: batch.partition }))) });
  try {
    await until(`enough of ${t}, ${all.length} there`, () => enough(all));
  } finally {
    await c.disconnect();
  }
  return all;
}

async function readRule(t, nulls) {
  const next = [0, 1, 2];
  const all = await read(t, all => all.length >= COUNT);
  same(COUNT, all.length, 'the number of records');
  for (const m of all) {
    const i = next[m.partition];
    next[m.partition] += PARTITIONS;
    const got = {};
    for (const [k, v] of Object.entries(m.headers)) got[k] = text(v);
    const want = headers(i);
    if (nulls && i % 5 === 0) want.null = null;
    same([Math.floor(i / PARTITIONS), key(i), value(i), EPOCH + i * 1000, want], [Number(m.offset), text(m.key), text(m.value), Number(m.timestamp), got], `record ${i}`);
  }
  return `${COUNT} records`;
}

async function writeRule(codec) {
  const t = await topic('write-' + codec, PARTITIONS);
  const messages = [];
  for (let i = 0; i < COUNT; i++) messages.push({ partition: i % PARTITIONS, key: key(i), value: value(i), headers: headers(i), timestamp: String(EPOCH + i * 1000) });
  const answer = await produce(t, messages, {}, { compression: codecs[codec] });
  same(['0', '0', '0'], answer.map(a => a.baseOffset), 'the acknowledged offsets');
  console.log(['wrote', t, codec, '-'].join('\t'));
  return readRule(t, false);
}

async function large() {
  const t = await topic('large', 1);
  const big = n => String.fromCharCode(97 + n).repeat(1000000);
  for (let n = 0; n < 3; n++) same(String(n), (await produce(t, [{ partition: 0, value: big(n) }]))[0].baseOffset, 'the offset');
  try {
    await produce(t, [{ partition: 0, value: 'x'.repeat(2000000) }]);
    throw new Error('a record over max.message.bytes was taken');
  } catch (e) {
    same('MESSAGE_TOO_LARGE', e.type, `the error (${e.message})`);
  }
  const small = [];
  for (let i = 0; i < 5000; i++) small.push({ partition: 0, value: 'small' + i });
  await produce(t, small);
  const all = await read(t, all => all.length >= 5003);
  all.forEach((m, n) => {
    same(n, Number(m.offset), 'the offset');
    if (text(m.value) !== (n < 3 ? big(n) : 'small' + (n - 3))) throw new Error(`value ${n} came out otherwise`);
  });
  return '3 records of 1,000,000 bytes, 5,000 small ones, MESSAGE_TOO_LARGE above';
}

async function idempotent() {
  const t = await topic('idempotent', 3);
  const p = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await p.connect();
  for (let i = 0; i < 50; i++) {
    const messages = [];
    for (let j = 0; j < 60; j++) messages.push({ partition: j % 3, value: String(i * 60 + j) });
    for (const a of await p.send({ topic: t, messages, acks: -1 })) same(String(i * 20), a.baseOffset, 'the acknowledged offset');
  }
  await p.disconnect();
  const next = [0, 1, 2];
  for (const m of await read(t, all => all.length >= 3000)) {
    same(String(next[m.partition]), text(m.value), 'the next value');
    next[m.partition] += 3;
  }
  return '3,000 records in 50 sends';
}

async function transactions() {
  const began = Date.now();
  const p = kafka.producer({ transactionalId: prefix + '-tx', idempotent: true, maxInFlightRequests: 1, retry: { retries: 2 } });
  try {
    await p.connect();
    await p.transaction();
  } catch (e) {
    if (Date.now() - began > 5000) throw new Error(`only after ${Date.now() - began} ms: ${e.message}`);
    if (!/GroupCoordinatorNotFound|UNSUPPORTED_VERSION|not supported/.test(`${e.type} ${e.name} ${e.message}`)) throw e;
    return `told at once: ${e.type || e.name}`;
  } finally {
    await p.disconnect();
  }
  throw new Error('a transaction began, although there are none');
}

// member of a group: it commits what it reads, and notes what it owns.
async function member(name, group, t) {
  const m = { name, owned: [], seen: [], died: null, joins: 0 };
  m.consumer = kafka.consumer({ groupId: group, sessionTimeout: 10000, heartbeatInterval: 300, maxWaitTimeInMs: 100, metadataMaxAge: 1000 });
  m.consumer.on(m.consumer.events.GROUP_JOIN, e => {
    m.joins++;
    m.owned = [...(e.payload.memberAssignment[t] || [])].sort();
    m.id = e.payload.memberId;
  });
  m.consumer.on(m.consumer.events.REBALANCING, () => (m.owned = []));
  m.consumer.on(m.consumer.events.CRASH, e => (m.died = e.payload.error));
  await m.consumer.connect();
  await m.consumer.subscribe({ topics: [t], fromBeginning: true });
  await m.consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, resolveOffset, isRunning, isStale }) => {
      for (const r of batch.messages) {
        if (!isRunning() || isStale()) return;
        m.seen.push({ partition: batch.partition, offset: Number(r.offset), value: text(r.value) });
        resolveOffset(r.offset);
      }
      await m.consumer.commitOffsets([{ topic: t, partition: batch.partition, offset: String(Number(batch.lastOffset()) + 1) }]);
    },
  });
  return m;
}

const GROUP = 6;

async function settle(...members) {
  const show = () => members.map(m => `${m.name}${JSON.stringify(m.owned)}${m.died || ''}`).join(' ');
  try {
    await until('settled', () => {
      const all = members.flatMap(m => m.owned).sort();
      const sizes = members.map(m => m.owned.length);
      return JSON.stringify(all) === '[0,1,2,3,4,5]' && Math.max(...sizes) - Math.min(...sizes) <= 1;
    });
  } catch (e) {
    throw new Error(`${e.message}: ${show()}`);
  }
}

async function feed(t, k, mark) {
  const messages = [], want = [], at = {};
  for (let i = 0; i < k * GROUP; i++) messages.push({ partition: i % GROUP, value: mark + i });
  for (const a of await produce(t, messages)) at[a.partition] = Number(a.baseOffset);
  messages.forEach(m => want.push(`${m.partition}/${at[m.partition]++}/${m.value}`));
  return want.sort();
}

async function readBy(want, ...members) {
  await until(`the members read ${want.length} records`, () => members.reduce((n, m) => n + m.seen.length, 0) >= want.length);
  await sleep(100); // for what comes twice
  const got = [];
  for (const m of members) {
    const last = {};
    for (const r of m.seen) {
      if (!m.owned.includes(r.partition)) throw new Error(`${m.name} read of partition ${r.partition} and owns ${m.owned}`);
      if ((last[r.partition] ?? -1) >= r.offset) throw new Error(`${m.name} read offset ${r.offset} out of order`);
      last[r.partition] = r.offset;
      got.push(`${r.partition}/${r.offset}/${r.value}`);
    }
    m.seen = [];
  }
  same(want, got.sort(), 'what the members read');
}

async function comeAndGo() {
  const t = await topic('eager', GROUP);
  const group = t + '-group';
  const a = await member('a', group, t);
  await settle(a);
  await readBy(await feed(t, 5, 'alone'), a);
  const b = await member('b', group, t);
  await settle(a, b);
  const described = (await admin.describeGroups([group])).groups[0];
  same('Stable', described.state, 'the state of the group');
  for (const m of [a, b]) {
    const d = described.members.find(x => x.memberId === m.id);
    same(m.owned, [...AssignerProtocol.MemberAssignment.decode(d.memberAssignment).assignment[t]].sort(), `the described assignment of ${m.name}`);
  }
  await readBy(await feed(t, 5, 'both'), a, b);
  await a.consumer.disconnect();
  await until('the other one joins again', () => b.joins >= 2);
  await settle(b);
  await readBy(await feed(t, 5, 'left'), b);
  await b.consumer.disconnect();
  if (a.died || b.died) throw new Error(`a member died: ${a.died || b.died}`);
  for (const { partitions } of await admin.fetchOffsets({ groupId: group, topics: [t] })) {
    same(Array(GROUP).fill('15'), partitions.map(p => p.offset), 'the committed offsets');
  }
  return '6 partitions: 6, then 3 and 3, then 6; each record once, by its owner; 15 committed';
}

async function offsets() {
  const group = prefix + '-commits', t = reference + '-none';
  await admin.setOffsets({ groupId: group, topic: t, partitions: [{ partition: 1, offset: '42' }] });
  same('42', (await admin.fetchOffsets({ groupId: group, topics: [t] }))[0].partitions.find(p => p.partition === 1).offset, 'the committed offset');
  const c = kafka.consumer({ groupId: group, maxWaitTimeInMs: 100 });
  await c.connect();
  await c.subscribe({ topics: [t], fromBeginning: true });
  const first = {};
  await c.run({ autoCommit: false, eachMessage: async ({ partition, message }) => (first[partition] ??= message.offset) });
  await until('each partition is read', () => Object.keys(first).length === 3);
  same({ 0: '0', 1: '42', 2: '0' }, first, 'the first offsets read');
  delete first[2];
  c.seek({ topic: t, partition: 2, offset: '7' });
  await until('partition 2 is read again', () => first[2] !== undefined);
  same('7', first[2], 'the offset after a seek');
  await c.disconnect();
  await admin.resetOffsets({ groupId: group, topic: t, earliest: true });
  same('-2', (await admin.fetchOffsets({ groupId: group, topics: [t] }))[0].partitions.find(p => p.partition === 1).offset, 'the offset after a reset');
  same('0', (await admin.fetchOffsets({ groupId: group, topics: [t], resolveOffsets: true }))[0].partitions.find(p => p.partition === 1).offset, 'the offset resolved');
  return 'set, fetched, read on from there, sought, reset';
}

async function byTime() {
  const t = reference + '-none';
  const of = async at => (await admin.fetchTopicOffsetsByTimestamp(t, at)).find(p => p.partition === 2).offset;
  same(['0', '0', '1', '99'], [await of(EPOCH), await of(EPOCH + 2000), await of(EPOCH + 2001), await of(EPOCH + 299000)], 'the offsets found');
  const ends = (await admin.fetchTopicOffsets(t)).find(p => p.partition === 2);
  same(['0', '100'], [ends.low, ends.high], 'the ends');
  return '4 times found; beginning and end';
}

async function administer() {
  const t = await topic('topics', 3, { 'retention.ms': '123456789' });
  const config = async name => (await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: t, configNames: [name] }] })).resources[0].configEntries[0].configValue;
  same('123456789', await config('retention.ms'), 'retention.ms');
  await admin.alterConfigs({ resources: [{ type: 2, name: t, configEntries: [{ name: 'retention.ms', value: '777' }] }] });
  await until('retention.ms is altered', async () => (await config('retention.ms')) === '777');
  await admin.createPartitions({ topicPartitions: [{ topic: t, count: 5 }] });
  await until('five partitions', async () => (await admin.fetchTopicMetadata({ topics: [t] })).topics[0].partitions.length === 5);
  await produce(t, Array.from({ length: 20 }, (_, i) => ({ partition: 4, value: 'd' + i })));
  await admin.deleteTopicRecords({ topic: t, partitions: [{ partition: 4, offset: '12' }] });
  same('12', (await admin.fetchTopicOffsets(t)).find(p => p.partition === 4).low, 'the beginning after records were deleted');
  const group = prefix + '-administered';
  await admin.setOffsets({ groupId: group, topic: t, partitions: [{ partition: 4, offset: '15' }] });
  await until('the group is listed', async () => (await admin.listGroups()).groups.some(g => g.groupId === group));
  await admin.deleteGroups([group]);
  same('-1', (await admin.fetchOffsets({ groupId: group, topics: [t] }))[0].partitions.find(p => p.partition === 4).offset, 'the offset of a deleted group');
  await admin.deleteTopics({ topics: [t] });
  await until('the topic is gone', async () => !(await admin.listTopics()).includes(t));
  return 'topic created, described, altered, grown, deleted; records deleted; group listed, deleted';
}

// fill: what is written first is looked at last.
async function fill() {
  const t = await topic('compacted', 1, { 'cleanup.policy': 'compact', 'segment.ms': '100', 'min.cleanable.dirty.ratio': '0.01', 'max.compaction.lag.ms': '100' });
  for (let n = 0; n < 10; n++) {
    await produce(t, Array.from({ length: 20 }, (_, j) => ({ partition: 0, key: 'k' + (j % 10), value: n === 9 && j === 19 ? null : 'v' + (n * 20 + j) })));
  }
  await endSegment();
  return '200 records with 10 keys';
}

// endSegment writes one more record: the newest segment is never cleaned, so this closes it.
async function endSegment() {
  await sleep(300);
  await produce(`${prefix}-compacted`, [{ partition: 0, key: 'end', value: 'end' }]);
}

async function compacted() {
  const t = `${prefix}-compacted`;
  let left;
  await until('only the last value of each key is left', async () => {
    await endSegment();
    left = (await read(t, all => all.some(m => Number(m.offset) >= 200))).filter(m => Number(m.offset) < 200);
    return left.length <= 10;
  }, 90000);
  same(Array.from({ length: 10 }, (_, j) => [190 + j, 'k' + j, j === 9 ? null : 'v' + (190 + j)]), left.map(m => [Number(m.offset), text(m.key), text(m.value)]), 'what is left');
  return '10 of 200 records left, at their offsets, one a tombstone';
}

(async () => {
  console.log('version\t' + require('kafkajs/package.json').version);
  await zstd.init();
  await admin.connect();
  await told('compacted', 'write', fill);
  for (const codec of Object.keys(codecs)) {
    await told('records', 'write ' + codec, () => writeRule(codec));
    await told('records', 'read ' + codec, () => readRule(`${reference}-${codec}`, true));
  }
  await told('records', 'large', large);
  await told('idempotent', 'order', idempotent);
  await told('transactions', 'refused', transactions);
  await told('groups', 'eager', comeAndGo);
  await told('offsets', 'commit and fetch', offsets);
  await told('offsets', 'by time', byTime);
  await told('admin', 'topics, configs, records, groups', administer);
  await told('compacted', 'latest values', compacted);
  await admin.disconnect();
  process.exit(0);
})().catch(e => {
  console.error(e);
  process.exit(1);
});

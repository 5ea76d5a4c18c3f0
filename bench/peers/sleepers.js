// N async functions sleep SECONDS. Usage: sleepers.js N SECONDS
const fs = require('fs');
const { setTimeout: sleep } = require('timers/promises');

const rssKB = () => Number(/VmRSS:\s*(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]);
const monotonic = () => Number(process.hrtime.bigint()) / 1e9;

let asleep = 0;

async function sleeper(seconds) {
  asleep += 1;
  await sleep(seconds * 1000);
  asleep -= 1;
}

async function main(count, seconds) {
  const before = rssKB();
  const start = monotonic();
  const sleepers = [];
  for (let i = 0; i < count; i += 1) sleepers.push(sleeper(seconds));
  const still = asleep;
  const during = rssKB();
  await Promise.all(sleepers);
  console.log(JSON.stringify({
    n: count,
    seconds: monotonic() - start,
    asleep: still,
    rss_kb_per_task: (during - before) / count,
  }));
}

main(Number(process.argv[2]), Number(process.argv[3]));

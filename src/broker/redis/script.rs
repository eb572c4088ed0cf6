//! The scripts: each is one step that happens as a whole or not at all.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError};

/// A script that the server knows by its hash.
pub(super) struct Script {
    hash: String,
}

impl Script {
    async fn load(connection: &mut MultiplexedConnection, code: &str) -> Result<Self, RedisError> {
        let hash = redis::cmd("SCRIPT").arg("LOAD").arg(code).query_async(connection).await?;
        Ok(Self { hash })
    }

    /// A call; the keys follow as arguments, then what is no key.
    pub(super) fn call(&self, keys: usize) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.hash).arg(keys);
        call
    }
}

pub(super) struct Scripts {
    pub(super) publish: Script,
    pub(super) take: Script,
    pub(super) listen: Script,
    pub(super) ack: Script,
    pub(super) give_back: Script,
    pub(super) release: Script,
    pub(super) sweep: Script,
    pub(super) beat: Script,
    pub(super) depth: Script,
}

impl Scripts {
    pub(super) async fn load(mut connection: MultiplexedConnection) -> Result<Self, RedisError> {
        let at = &mut connection;
        Ok(Self {
            publish: Script::load(at, PUBLISH).await?,
            take: Script::load(at, &format!("{IS_ALIVE}{TAKE}")).await?,
            listen: Script::load(at, LISTEN).await?,
            ack: Script::load(at, ACK).await?,
            give_back: Script::load(at, GIVE_BACK).await?,
            release: Script::load(at, &format!("{PART}{RELEASE}")).await?,
            sweep: Script::load(at, &format!("{IS_ALIVE}{PART}{SWEEP}")).await?,
            beat: Script::load(at, BEAT).await?,
            depth: Script::load(at, DEPTH).await?,
        })
    }
}

/// ARGV: body, headers, length from which it refuses, length to which it is trimmed (empty: none).
const PUBLISH: &str = "
local key = KEYS[1]
if redis.call('EXISTS', key) == 0 then return 'returned' end
if ARGV[3] ~= '' and redis.call('XLEN', key) >= tonumber(ARGV[3]) then return 'full' end
if ARGV[4] ~= '' then
  redis.call('XADD', key, 'MAXLEN', ARGV[4], '*', 'b', ARGV[1], 'h', ARGV[2])
else
  redis.call('XADD', key, '*', 'b', ARGV[1], 'h', ARGV[2])
end
redis.call('PUBLISH', key, '')
return 'ok'
";

/// A consumer is called `<session>.<connection>/<n>`, and its session says in a key which connection lives.
const IS_ALIVE: &str = "
local function is_alive(prefix, consumer)
  local session, connection = string.match(consumer, '^([^.]*)%.([^/]*)/')
  return session and redis.call('GET', prefix .. session) == connection
end
";

/// Makes all that a consumer holds free, and forgets it.
const PART: &str = "
local function part(key, group, consumer)
  while true do
    local held = redis.call('XPENDING', key, group, '-', '+', 1000, consumer)
    if #held == 0 then break end
    for _, entry in ipairs(held) do
      redis.call('XCLAIM', key, group, 'free', 0, entry[1], 'JUSTID')
    end
  end
  redis.call('XGROUP', 'DELCONSUMER', key, group, consumer)
  if redis.call('GET', key .. '.owner') == consumer then redis.call('DEL', key .. '.owner') end
  redis.call('PUBLISH', key, '')
end
";

/// ARGV: group, consumer, how many, prefix of the living, then for each key whether it has a single consumer.
const TAKE: &str = "
local group, me, room, prefix = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local taken = {}
for i, key in ipairs(KEYS) do
  local mine = true
  if ARGV[4 + i] == '1' then
    local owner = redis.call('GET', key .. '.owner')
    if owner ~= me then
      if owner and is_alive(prefix, owner) then mine = false else redis.call('SET', key .. '.owner', me) end
    end
  end
  if mine and room > 0 then
    for _, entry in ipairs(redis.call('XPENDING', key, group, '-', '+', room, 'free')) do
      for _, back in ipairs(redis.call('XCLAIM', key, group, me, 0, entry[1])) do
        table.insert(taken, {i, 1, back[1], back[2][2], back[2][4]})
        room = room - 1
      end
    end
  end
  if mine and room > 0 then
    local new = redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', room, 'STREAMS', key, '>')
    if new then
      for _, entry in ipairs(new[1][2]) do
        table.insert(taken, {i, 0, entry[1], entry[2][2], entry[2][4]})
        room = room - 1
      end
    end
  end
end
return taken
";

/// ARGV: group, consumer, how many.
const LISTEN: &str = "
local heard = {}
local new = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'NOACK', 'STREAMS', KEYS[1], '>')
if new then
  for _, entry in ipairs(new[1][2]) do
    table.insert(heard, entry[2][2])
    redis.call('XDEL', KEYS[1], entry[1])
  end
end
return heard
";

/// ARGV: group, consumer, id.
const ACK: &str = "
local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #held == 0 or held[1][2] ~= ARGV[2] then return 0 end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
return 1
";

/// ARGV: group, consumer, id.
const GIVE_BACK: &str = "
local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #held == 0 or held[1][2] ~= ARGV[2] then return 0 end
redis.call('XCLAIM', KEYS[1], ARGV[1], 'free', 0, ARGV[3], 'JUSTID')
redis.call('PUBLISH', KEYS[1], '')
return 1
";

/// ARGV: group, consumer.
const RELEASE: &str = "
for _, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then part(key, ARGV[1], ARGV[2]) end
end
";

/// ARGV: group, prefix of the living.
const SWEEP: &str = "
for _, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then
    for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', key, ARGV[1])) do
      local name = consumer[2]
      if name ~= 'free' and not is_alive(ARGV[2], name) then part(key, ARGV[1], name) end
    end
  end
end
";

/// KEYS: the session's sign of life, its reply queue. ARGV: connection, lifetime.
const BEAT: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if KEYS[2] ~= '' then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return 1
";

/// ARGV: group.
const DEPTH: &str = "
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local held, consumers = 0, 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  if consumer[2] ~= 'free' then
    held = held + consumer[4]
    consumers = consumers + 1
  end
end
return {redis.call('XLEN', KEYS[1]) - held, consumers}
";

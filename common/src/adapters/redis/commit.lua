-- One transaction of one shard: every expectation, then every write in its order. All keys are of one slot.
-- KEYS: the shard's sequence counter, then every key that the transaction names, each once.
-- ARGV: channel, news for it or '', number of expectations; then (key number, version or '') for each of these; then the
--       writes: a letter, a key number, and what the letter needs.
-- Answer: 0 if an expectation does not hold, else { seconds, microseconds, sequence number of each message … }.

local at = 3
local function take()
  at = at + 1
  return ARGV[at]
end
local function key()
  return KEYS[tonumber(take())]
end

for _ = 1, tonumber(ARGV[3]) do
  local row = key()
  -- A row begins with its version; of a row that is not there one reads nothing.
  if redis.call('GETRANGE', row, 0, 15) ~= take() then
    return 0
  end
end

local time = redis.call('TIME')
local answer = { time[1], time[2] }
local sequence

-- Microseconds since 1970 keep numbers rising even if the server goes back to an older counter. Exact below 2^53.
local function number()
  sequence = sequence or tonumber(redis.call('GET', KEYS[1]) or '0')
  sequence = math.max(sequence + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
  return string.format('%.0f', sequence)
end

local write = {
  put = function()
    redis.call('SET', key(), take())
  end,
  delete = function()
    redis.call('DEL', key())
  end,
  set = function()
    local index, member = key(), take()
    redis.call('ZADD', index, take(), member)
  end,
  remove = function()
    redis.call('ZREM', key(), take())
  end,
  append = function()
    local queue, given = key(), number()
    redis.call('XADD', queue, given .. '-0', 'm', take())
    answer[#answer + 1] = given
  end,
  ack = function()
    local queue = key()
    redis.call('XTRIM', queue, 'MINID', take())
    if redis.call('XLEN', queue) == 0 then
      redis.call('DEL', queue)
    end
  end,
  clear = function()
    redis.call('DEL', key())
  end,
}

while at < #ARGV do
  write[take()]()
end

if sequence then
  redis.call('SET', KEYS[1], string.format('%.0f', sequence))
end
-- A hint only: one who may not publish has committed all the same.
if ARGV[2] ~= '' then
  redis.pcall('PUBLISH', ARGV[1], ARGV[2])
end
return answer

-- A page of an ordered index, by rising (score, bytes of the member).
-- KEYS: the index. ARGV: lowest score, highest score, how many at most; then, of a later page, the score and the
--       member that the page before ended with, which need not be there any more.
-- Answer: { seconds, microseconds, member, score, member, score … }.

-- Lua's own comparison goes by the server's locale.
local function beyond(left, right)
  for at = 1, math.min(#left, #right) do
    local l, r = string.byte(left, at), string.byte(right, at)
    if l ~= r then
      return l > r
    end
  end
  return #left > #right
end

local index = KEYS[1]
local first = redis.call('ZCOUNT', index, '-inf', '(' .. ARGV[1])
local past = redis.call('ZCOUNT', index, '-inf', ARGV[2])

if ARGV[4] then
  -- Among the members of equal score, which Redis keeps by their bytes, the first that stands beyond.
  local low = redis.call('ZCOUNT', index, '-inf', '(' .. ARGV[4])
  local high = redis.call('ZCOUNT', index, '-inf', ARGV[4])
  while low < high do
    local middle = math.floor((low + high) / 2)
    if beyond(redis.call('ZRANGE', index, middle, middle)[1], ARGV[5]) then
      high = middle
    else
      low = middle + 1
    end
  end
  first = math.max(first, low)
end

local time = redis.call('TIME')
local answer = { time[1], time[2] }
local last = math.min(past, first + tonumber(ARGV[3])) - 1
if first <= last then
  for _, text in ipairs(redis.call('ZRANGE', index, first, last, 'WITHSCORES')) do
    answer[#answer + 1] = text
  end
end
return answer

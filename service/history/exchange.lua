-- One exchange of `service.history.store`: commit if nothing unknown stands in the logs, else tell what; one atomic step.
-- KEYS: the claim, L logs, C counts.
-- ARGV: L, writes, expected, gateway, claim, ttl in ms, longest log, bytes of a generation, bytes of a record, claim in ms;
-- then per log: generation, known bytes, records, next generation, last known record; then what each count grows; then, if expected, what
-- each one is. A log is its generation and its records.
-- Returns: committed, counts, {log, generation, records, whole} for each log that is not known, logs that were cut.
local claim_key, logs = KEYS[1], tonumber(ARGV[1])
local writes, expected, gateway, claims = ARGV[2] == '1', ARGV[3] == '1', ARGV[4], ARGV[5] == '1'
local ttl, longest = ARGV[6], tonumber(ARGV[7])
local name_bytes, record_bytes, claim_ms = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local function of_log(at, which) return ARGV[10 + (at - 1) * 5 + which] end
local function of_count(at) return ARGV[10 + logs * 5 + at] end

local items = {}
for at = logs + 2, #KEYS do items[#items + 1] = tonumber(redis.call('GET', KEYS[at]) or 0) end
local moved = false
for at = 1, expected and #items or 0 do moved = moved or items[at] ~= tonumber(of_count(#items + at)) end

local tails = {}
for at = 1, logs do
  local key, generation, known, last = KEYS[at + 1], of_log(at, 1), tonumber(of_log(at, 2)), of_log(at, 5)
  local now = redis.call('GETRANGE', key, 0, name_bytes - 1)
  if now ~= generation then
    tails[#tails + 1] = {at - 1, now, redis.call('GETRANGE', key, name_bytes, -1), 1}
  elseif now ~= '' then
    local tail = redis.call('GETRANGE', key, name_bytes + known - #last - 1, -1) -- from the byte before the last record
    if tail == '' or tail:sub(2, #last + 1) ~= last then -- a replica took over that had not got all
      tails[#tails + 1] = {at - 1, now, redis.call('GETRANGE', key, name_bytes, -1), 1}
    elseif #tail > #last + 1 then
      tails[#tails + 1] = {at - 1, now, tail:sub(#last + 2), 0}
    end
  end
end

local holder = redis.call('GET', claim_key)
local taken = holder and holder ~= gateway
if not writes or #tails > 0 or taken or moved then
  if claims and not taken then redis.call('SET', claim_key, gateway, 'PX', claim_ms) end
  return {0, items, tails, {}}
end
if holder then redis.call('DEL', claim_key) end

local cut = {}
for at = 1, logs do
  local key, generation, records, next_generation = KEYS[at + 1], of_log(at, 1), of_log(at, 3), of_log(at, 4)
  if records ~= '' then
    local length = redis.call('APPEND', key, generation == '' and next_generation .. records or records)
    if length > longest then
      local half = math.floor((length - name_bytes) / record_bytes / 2) * record_bytes
      redis.call('SET', key, next_generation .. redis.call('GETRANGE', key, name_bytes + half, -1))
      cut[#cut + 1] = at - 1
    end
    redis.call('PEXPIRE', key, ttl)
  end
end
for at = 1, #items do
  local more = of_count(at)
  if more ~= '0' then
    redis.call('INCRBY', KEYS[logs + 1 + at], more)
    redis.call('PEXPIRE', KEYS[logs + 1 + at], ttl)
  end
end
return {1, items, {}, cut}

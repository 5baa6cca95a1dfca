-- cell.lua continued: records into cells, changes into rollups and the stream.

-- Rollups -------------------------------------------------------------------------------------------------------------------

local rollups = {}

-- Adds sign * derived(flow): bytes of a 5-minute bucket are the differences of the ledger's running maximum.
local function roll(f, sign)
	local owner = (f.grade == 'A' or f.grade == 'B' or f.grade == 'C') and f.owner or NOBODY
	local field = owner .. pack('>Hc1B', f.service, f.grade, f.side) .. f.cell.field:sub(2, 2)
	local up, down, first = 0, 0, sign
	for i = 1, #f.ledger do
		local l = f.ledger[i]
		local u, d = math.max(up, l[2]), math.max(down, l[3])
		local row = rollups[l[1]]
		if not row then row = {} rollups[l[1]] = row end
		local sum = row[field]
		if not sum then sum = {0, 0, 0} row[field] = sum end
		sum[1], sum[2], sum[3] = sum[1] + sign * (u - up), sum[2] + sign * (d - down), sum[3] + first
		up, down, first = u, d, 0
	end
	return up, down
end

-- Takes a flow's old bytes out of the rollups, once a batch, before anything about it changes.
local touched = {}
local function touch(f)
	if f.touched then return end
	f.touched = true
	touched[#touched + 1] = f
	if f.ver > 0 then roll(f, -1) end
end

-- Flows whose owner may have changed: those that begin near t, nil: all of the cell's. A port with thousands of flows has them looked
-- at again by the dozen, not all for each event.
local stale = {}
local function touch_cell(cell, t)
	if not cell.stale then
		cell.stale = true
		cell.from, cell.to = t or 0, t or 0
		stale[#stale + 1] = cell
	end
	cell.all = cell.all or not t
	if t then cell.from, cell.to = math.min(cell.from, t), math.max(cell.to, t) end
end

local function may_change(f, cell)
	return cell.all or f.touched or f.midstream or (f.start >= cell.from - 2 * EDGE and f.start <= cell.to + 2 * EDGE)
end

-- Merge ---------------------------------------------------------------------------------------------------------------------

-- Of two copies of one event the one that knows when its process ended is better, else the smaller: any order, same set.
local function better(new, old)
	if (new.stop == nil) ~= (old.stop == nil) then return new.stop ~= nil end
	return new.raw < old.raw
end

-- The set keeps the MAX_EVENTS smallest keys (ids are hashes: a fair sample), so a full cell too is the same in any order.
local function add_event(cell, e)
	local list = cell.events
	local at = #list + 1
	for i = 1, #list do
		if list[i].same == e.same then
			if list[i].raw == e.raw or not better(e, list[i]) then return false end
			list[i] = e
			change(cell)
			return true
		end
		if list[i].same > e.same then at = i break end
	end
	if at > MAX_EVENTS then
		overflow = overflow + 1
		return false
	end
	table.insert(list, at, e)
	if #list > MAX_EVENTS then
		table.remove(list)
		overflow = overflow + 1
	end
	change(cell)
	return true
end

local function merge_event(bucket, sub, field, record, pos)
	local cell = cell_at(bucket, sub, field)
	local e = read_event(record, pos, bucket, false)
	if not add_event(cell, e) then return end
	local near = not e.found and #cell.events < MAX_EVENTS and e.t or nil
	touch_cell(cell, near)
	local after = e.t - bucket * BUCKET
	if after < EDGE then touch_cell(cell_at(bucket - 1, sub, field), near) end
	if after + EDGE >= BUCKET then touch_cell(cell_at(bucket + 1, sub, field), near) end
	if e.found then
		for i = 1, look_back do
			local earlier = cell_at(bucket - i, sub, field)
			watch(earlier, i)
			touch_cell(earlier)
		end
	end
	for i = 1, #cell.watch do touch_cell(cell_at(bucket + cell.watch[i], sub, field)) end
end

local function merge_destination(bucket, sub, field, record, pos)
	local cell = cell_at(bucket, sub, field)
	if not add_event(cell, (read_event(record, pos, bucket, true))) then return end
	for i = 1, #cell.flows do
		local b, s, pos_field = unpack('>I4c2', cell.flows[i])
		touch_cell(cell_at(b, s, cell.flows[i]:sub(pos_field)))
	end
end

local function has_member(f, member)
	for i = 1, #f.members do
		if f.members[i] == member then return true end
	end
end

local function has_source(f, from)
	for i = 1, #f.members do
		if f.members[i]:sub(1, 2) == from then return true end
	end
end

-- The flow a record belongs to: known by its id, or the same connection seen by another source.
local function find_flow(cell, new)
	local best
	for i = 1, #cell.flows do
		local f = cell.flows[i]
		if f.side == new.side and f.remote == new.remote then
			if has_member(f, new.members[1]) then return f, true end
			local d = math.abs(f.start - new.start)
			if d <= SAME_FLOW and not has_source(f, new.members[1]:sub(1, 2)) and
				(not best or d < math.abs(best.start - new.start)) then
				best = f
			end
		end
	end
	return best, false
end

local function merge_ledger(f, new)
	local list = f.ledger
	for i = 1, #new do
		local n, at, known = new[i], #list + 1, false
		for j = #list, 1, -1 do
			local l = list[j]
			if l[1] == n[1] then
				l[2], l[3], known = math.max(l[2], n[2]), math.max(l[3], n[3]), true
				break
			end
			if l[1] < n[1] then break end
			at = j
		end
		if not known then table.insert(list, at, {n[1], n[2], n[3]}) end
	end
end

local function merge_member(f, member)
	if has_member(f, member) then return end
	f.grown = true -- the newcomer has to be told, so it is a new version for all
	f.members[#f.members + 1] = member
	if #f.members > 1 then table.sort(f.members) end
end

-- The flow a record belongs to, made where there is none: in its own cell, in the neighbour's when another tap's start lies over the
-- edge, in the annex of either when that is full. nil: no room even there.
local function place_flow(cell, new)
	local found, sure
	local function look(other)
		if sure then return end
		local f, known = find_flow(other, new)
		if known or (f and not found) then found, sure = f, known end
		if is_full(other) then look(annex(other, new.remote)) end
	end
	if #cell.flows > 0 then look(cell) end
	local after = new.start - cell.bucket * BUCKET
	if after < SAME_FLOW then look(cell_at(cell.bucket - 1, cell.sub, cell.field)) end
	if after + SAME_FLOW >= BUCKET then look(cell_at(cell.bucket + 1, cell.sub, cell.field)) end
	if found then return found end
	local home = is_full(cell) and annex(cell, new.remote) or cell
	if #home.flows >= MAX_SAME then
		overflow = overflow + 1
		return
	end
	local f = {cell = home, start = new.start, last = new.last, midstream = new.midstream, seek = false, side = new.side,
		service = 0, ver = 0, grade = 'U', key = 0, cause = 0, rivals = 0, owner = NOBODY, remote = new.remote,
		members = new.members, ledger = new.ledger, fresh = true, touched = false}
	home.flows[#home.flows + 1] = f
	return f
end

-- A flow takes events from others: from other uses of its 5-tuple, and from flows of the same port that have only the port in common.
local function touch_uses(f, new)
	local home = f.cell
	local base = cell_at(home.bucket, home.sub, evidence_field(home))
	local after = new.start - home.bucket * BUCKET
	if after < 2 * EDGE then touch_cell(cell_at(home.bucket - 1, base.sub, base.field), new.start) end
	if after + 2 * EDGE >= BUCKET then touch_cell(cell_at(home.bucket + 1, base.sub, base.field), new.start) end
	if base == home then return end -- touched anyway
	if after < 2 * EDGE or after + 2 * EDGE >= BUCKET then return touch_cell(base, new.start) end -- the event may lie next door
	for i = 1, #base.events do
		if base.events[i].remote == new.remote then return touch_cell(base, new.start) end
	end
end

local function flow_before(a, b)
	return a.members[1] < b.members[1]
end

local function merge_flow(bucket, sub, field, record, pos)
	local cell = cell_at(bucket, sub, field)
	local flags, start, last, entries, remote
	local new = {members = {}, ledger = {}}
	flags, start, last, new.service, new.members[1], remote, entries, pos = unpack('>BI4I4Hc10c6H', record, pos)
	new.midstream, new.seek, new.side = has(flags, FL_MIDSTREAM), has(flags, FL_SEEK), has(flags, FL_RESPONDER) and 1 or 0
	new.start, new.last, new.remote = bucket * BUCKET + start, bucket * BUCKET + last * 1000, remote
	for i = 1, entries do
		local at, up, down
		at, up, down, pos = unpack('>hI6I6', record, pos)
		new.ledger[i] = {bucket * 6 + at, up, down}
	end
	local f = place_flow(cell, new)
	if not f then return end
	local home = f.cell
	touch(f)
	f.asked = tell_all
	if f.fresh or new.start < f.start or (f.midstream and not new.midstream) then touch_uses(f, new) end
	f.start, f.last = math.min(f.start, new.start), math.max(f.last, new.last)
	f.midstream = f.midstream and new.midstream
	f.service = math.max(f.service, new.service)
	if f.fresh then
		f.grown = true
	else
		merge_member(f, new.members[1])
		merge_ledger(f, new.ledger)
	end
	if #home.flows > 1 then table.sort(home.flows, flow_before) end
	change(home)
	touch_cell(home, new.start)
	if f.fresh and f.midstream then
		local base = evidence_field(home)
		for i = 1, look_back do watch(cell_at(home.bucket - i, sub, base), i) end
	end
	f.fresh = nil
	if new.seek and not f.seek then
		f.seek = true
		local ref = pack('>I4', home.bucket) .. home.sub .. home.field
		for b = home.bucket - look_back, home.bucket + look_back do
			local to, known = destination_cell(f, home, b), false
			for i = 1, #to.flows do known = known or to.flows[i] == ref end
			if not known and #to.flows < MAX_REFS then
				to.flows[#to.flows + 1] = ref
				table.sort(to.flows)
				change(to)
			end
		end
	end
	if f.last >= (home.bucket + 1) * BUCKET then keys[home.key .. '+'] = home.key end
end

for i = 6, #ARGV do
	local record = ARGV[i]
	local kind, sub, bucket, field, pos = unpack('>c1c2I4Bc0', record)
	if kind == 'F' then merge_flow(bucket, sub, field, record, pos)
	elseif kind == 'E' then merge_event(bucket, sub, field, record, pos)
	else merge_destination(bucket, sub, field, record, pos) end
end

-- Who owns what now ---------------------------------------------------------------------------------------------------------

local out = {}

local function tell(f, result)
	local up, down = 0, 0
	for i = 1, #f.ledger do up, down = math.max(up, f.ledger[i][2]), math.max(down, f.ledger[i][3]) end
	local processes, list = math.min(8, #result.processes), math.min(4, #result.list)
	local tail = string.char(processes)
	for i = 1, processes do tail = tail .. result.processes[i].e.p end
	tail = tail .. string.char(list)
	for i = 1, list do
		local c = result.list[i]
		tail = tail .. pack('>c4i8', c.e.id, c.e.t - f.start)
	end
	for i = 1, #f.members do
		out[#out + 1] = pack('>c10BI4c1BBBHI8I8I8', f.members[i], f.side, f.ver, f.grade, f.key, f.cause, f.rivals, f.service,
			up, down, f.start) .. tail
	end
end

-- What is kept of the owner: the process, or of several a fingerprint of who they are.
local function owner_of(result)
	if result.grade == 'U' then return NOBODY end
	if result.grade ~= 'D' then return result.processes[1].e.p end
	local list = {}
	for i = 1, #result.processes do list[i] = result.processes[i].e.p end
	table.sort(list)
	return redis.sha1hex(table.concat(list)):sub(1, 8)
end

local function settle(f)
	local result = resolve(f, f.cell)
	local owner, rivals = owner_of(result), math.max(0, math.min(255, #result.processes - 1))
	local same = f.ver > 0 and not f.grown and f.grade == result.grade and f.key == result.key and f.cause == result.cause and
		f.rivals == rivals and f.owner == owner
	if same and not f.asked and not tell_all then return end -- its evidence may be less, though its owner is the same
	if not same then
		touch(f)
		change(f.cell)
		f.grade, f.key, f.cause, f.rivals, f.owner = result.grade, result.key, result.cause, rivals, owner
		f.ver = math.min(65535, f.ver + 1) -- one per change of evidence; MAX_EVENTS keeps it far below
	end
	tell(f, result)
	f.asked, f.grown = nil, nil
end

-- The flows a full cell could not take are reached through the events that name their remote.
local function settle_more(cell)
	local seen = {}
	for b = cell.bucket - look_back, cell.bucket + 1 do
		local from = cell_at(b, cell.sub, cell.field)
		for i = 1, #from.events do
			local remote = from.events[i].remote
			if remote and not seen[remote] then
				seen[remote] = true
				local more = annex(cell, remote)
				for j = 1, #more.flows do settle(more.flows[j]) end
			end
		end
	end
end

for i = 1, #stale do
	local cell = stale[i]
	for j = 1, #cell.flows do
		if may_change(cell.flows[j], cell) then settle(cell.flows[j]) end
	end
	if is_full(cell) then settle_more(cell) end
end
for i = 1, #touched do roll(touched[i], 1) end

-- Read all that will be written, then write ---------------------------------------------------------------------------------

local rows = {}
for bucket, fields in pairs(rollups) do
	local key = prefix .. 'r:' .. bucket
	for field, sum in pairs(fields) do
		if sum[1] ~= 0 or sum[2] ~= 0 or sum[3] ~= 0 then
			local old = call('HGET', key, field)
			local up, down, flows = 0, 0, 0
			if old then up, down, flows = old:match('^(%d+),(%d+),(%d+)$') end
			rows[#rows + 1] = {key, field, string.format('%.0f,%.0f,%.0f', up + sum[1], down + sum[2], flows + sum[3])}
			if keys[key] == nil then keys[key] = old and 1 or call('EXISTS', key) end
		end
	end
end
for i = 1, #changed_cells do
	local key = changed_cells[i].key
	if keys[key] == nil then keys[key] = call('EXISTS', key) end
end
local stream = prefix .. 'out'
call('EXISTS', stream)

if seq > high then call('SET', KEYS[1], ARGV[1], 'EX', SOURCE_TTL) end
for i = 1, #changed_cells do
	local cell = changed_cells[i]
	call('HSET', cell.key, cell.field, write_cell(cell))
	if ttl > 0 then
		if keys[cell.key] == 0 then
			call('EXPIRE', cell.key, ttl + 1800)
			keys[cell.key] = 1
		elseif keys[cell.key .. '+'] then -- a flow that outlives its bucket keeps its cell alive
			call('EXPIRE', cell.key, ttl + 1800, 'GT')
			keys[cell.key .. '+'] = nil
		end
	end
end
for i = 1, #rows do
	local key, field, value = rows[i][1], rows[i][2], rows[i][3]
	if value == '0,0,0' then
		call('HDEL', key, field)
	else
		call('HSET', key, field, value)
		if rollup_ttl > 0 and keys[key] == 0 then
			call('EXPIRE', key, rollup_ttl)
			keys[key] = 1
		end
	end
end
local changes = table.concat(out)
if #out > 0 and stream_cap ~= '0' then call('XADD', stream, 'MAXLEN', '~', stream_cap, '*', 'b', changes) end
return {'OK', math.max(seq, high), changes, overflow}

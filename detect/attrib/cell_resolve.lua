-- cell.lua continued: who owns a flow, a pure function of the flow and the events around it.

local function stopped(f, e)
	return e.stop and e.stop < f.start
end

-- The same 5-tuple: does the time allow it, and how far is it? A connect that was seen is near the flow's start, on either side;
-- a flow in mid-stream takes the newest connect before it, so its distance is the event's age.
local function distance(f, e)
	local d = e.t - f.start
	if f.midstream then
		if d <= (e.calibrated and CLOSE or AFTER) and -d <= lifetime and not stopped(f, e) then return -d end
	elseif e.calibrated then
		if d >= -CALIBRATED and d <= CALIBRATED then return d < 0 and -d or d end
	elseif d >= -BEFORE and d <= AFTER then
		return d < 0 and -d or d
	end
end

-- A later connect of another process on the same local port ends an earlier claim, unless both claim the same connection.
local function ended(f, e, events)
	for i = 1, #events do
		local o = events[i]
		if o.p ~= e.p and not o.found and o.t > e.t and o.t <= f.start and
			not (o.mine and o.t - e.t <= RIVAL) then
			return true
		end
	end
end

local function nearer(a, b)
	if a.d ~= b.d then return a.d < b.d end
	if a.e.p ~= b.e.p then return a.e.p < b.e.p end
	return a.e.id < b.e.id
end

-- From candidates {d, e}: nobody, one process, or several. all: every candidate is a rival, however far from the best.
local function choose(list, all)
	if #list == 0 then return end
	if #list > 1 then table.sort(list, nearer) end
	local best, processes, seen = list[1], {}, {}
	for i = 1, #list do
		local c = list[i]
		if not seen[c.e.p] and (all or c.d - best.d <= RIVAL) then
			seen[c.e.p] = true
			processes[#processes + 1] = c
		end
	end
	return processes
end

local function ambiguous(processes, key)
	return {grade = 'D', key = key, cause = CAUSE_RIVALS, list = processes, processes = processes}
end

local function inferred(list, key, cause)
	local processes = choose(list, true)
	if not processes then return end
	if #processes > 1 then return ambiguous(processes, key) end
	return {grade = 'C', key = key, cause = cause, list = list, processes = processes}
end

local function by_5tuple(f, events)
	local list = {}
	for i = 1, #events do
		local e = events[i]
		if e.mine and not e.found then
			local d = distance(f, e)
			if d and ((not f.midstream and e.calibrated and d <= CLOSE) or not ended(f, e, events)) then
				list[#list + 1] = {d = d, e = e}
			end
		end
	end
	local processes = choose(list, false)
	if not processes then return end
	if #processes > 1 then return ambiguous(processes, KEY_5TUPLE) end
	local result = {grade = 'B', key = KEY_5TUPLE, processes = processes, list = {}}
	local close, far = {}, {}
	for i = 1, #list do
		local c = list[i]
		if c.e.p == processes[1].e.p then
			local good = not f.midstream and c.e.calibrated and c.d <= CLOSE
			if good then close[#close + 1] = c else far[#far + 1] = c end
		end
	end
	if #close > 0 then
		result.grade, result.cause = 'A', CAUSE_NONE
	elseif f.midstream then
		result.cause = CAUSE_BEFORE
	else
		result.cause = processes[1].e.calibrated and CAUSE_APART or CAUSE_UNCALIBRATED
	end
	for i = 1, #far do close[#close + 1] = far[i] end
	result.list = close
	return result
end

-- A scan saw the connection open: its time lies within the flow's life, or before a flow in mid-stream.
local function by_scan(f, events)
	local list = {}
	for i = 1, #events do
		local e = events[i]
		if e.mine and e.found then
			local before, after = e.calibrated and CLOSE or BEFORE, e.calibrated and CLOSE or AFTER
			if f.midstream then before = lifetime end
			if e.t >= f.start - before and e.t <= f.last + after and not stopped(f, e) then
				local d = e.t - f.start
				list[#list + 1] = {d = d < 0 and -d or d, e = e}
			end
		end
	end
	return inferred(list, KEY_5TUPLE, CAUSE_APART)
end

local function by_port(f, events)
	local list = {}
	if f.midstream then return end
	for i = 1, #events do
		local e = events[i]
		local d = e.t - f.start
		if d < 0 then d = -d end
		if not e.mine and not e.found and d <= (e.calibrated and PORT_CALIBRATED or PORT_UNCALIBRATED) then
			list[#list + 1] = {d = d, e = e}
		end
	end
	return inferred(list, KEY_IP_PORT, CAUSE_NO_REMOTE)
end

local function by_destination(f, events)
	local reports, others = {}, {}
	for i = 1, #events do
		local e = events[i]
		local before, after = e.calibrated and CLOSE or BEFORE, e.calibrated and CLOSE or AFTER
		if e.interval then
			if e.t - after <= f.start and f.start <= e.last + before then reports[#reports + 1] = {d = 0, e = e} end
		elseif e.t - after <= f.start and f.start - e.t <= lifetime and not stopped(f, e) then
			others[#others + 1] = {d = math.abs(f.start - e.t), e = e}
		end
	end
	return inferred(reports, KEY_AGGREGATED, CAUSE_AGGREGATED) or inferred(others, KEY_DESTINATION, CAUSE_INFERRED)
end

-- Everything that may bear on a flow: its own cell, the neighbour when the window reaches over an edge, the cells that asked to be
-- watched (mid-stream flows and scans reach further than a window), and for mid-stream all of the lifetime before.
local function events_of(f, cell)
	local after = f.start - cell.bucket * BUCKET
	if after >= EDGE and after + EDGE < BUCKET and not f.midstream and #cell.watch == 0 and cell.kind == 'p' then
		local list = cell.events -- the common case: nothing but the cell itself
		for i = 1, #list do list[i].mine = list[i].remote == f.remote end
		return list
	end
	local list, n, field, bucket = {}, 0, evidence_field(cell), cell.bucket
	local buckets, added = {bucket}, {[bucket] = true}
	local function want(b)
		if not added[b] then
			added[b] = true
			buckets[#buckets + 1] = b
		end
	end
	local base = cell.kind == 'o' and cell_at(bucket, cell.sub, field) or cell
	if f.start - EDGE < bucket * BUCKET then want(bucket - 1) end
	if f.start + EDGE >= (bucket + 1) * BUCKET then want(bucket + 1) end
	for i = 1, #base.watch do want(bucket + base.watch[i]) end
	if f.midstream then for i = 1, look_back do want(bucket - i) end end
	for i = 1, #buckets do
		local from = cell_at(buckets[i], cell.sub, field)
		for j = 1, #from.events do
			local e = from.events[j]
			e.mine = cell.kind == 's' or e.remote == f.remote
			if e.mine or cell.kind == 'p' then
				n = n + 1
				list[n] = e
			end
		end
	end
	return list
end

-- The sub-hash of a destination's field: the sum of its bytes (cell.c does the same).
local function destination_cell(f, cell, bucket)
	local field = 'd' .. cell.field:sub(2, 3) .. f.remote .. cell.field:sub(cell.remote and 12 or 6)
	local sum = 0
	for i = 1, #field do sum = sum + field:byte(i) end
	return cell_at(bucket, string.format('%02x', sum % 32), field)
end

local function destination_events(f, cell)
	local list, n = {}, 0
	for b = cell.bucket - look_back, cell.bucket + 1 do
		local from = destination_cell(f, cell, b)
		for i = 1, #from.events do
			n = n + 1
			list[n] = from.events[i]
		end
	end
	return list
end

local UNKNOWN = {grade = 'U', key = 0, cause = CAUSE_NONE, list = {}, processes = {}}

local function resolve(f, cell)
	local events = events_of(f, cell)
	if #events == 0 and not f.seek then return UNKNOWN end
	return by_5tuple(f, events) or by_scan(f, events) or by_port(f, events) or
		f.seek and by_destination(f, destination_events(f, cell)) or UNKNOWN
end

-- cell.lua continued: who owns a flow, a pure function of the flow and the events around it.

local function stopped(f, e)
	return e.stop and e.stop < f.start
end

-- Where each remote's flows of a cell start: by remote all of them, by remote and side those whose connect was seen. Built when first
-- asked for, which is after the last change of the batch.
local function starts_of(cell)
	if cell.starts then return cell.starts end
	local starts = {}
	for i = 1, #cell.flows do
		local g = cell.flows[i]
		local names = {g.remote, not g.midstream and g.remote .. g.side or nil}
		for j = 1, #names do
			local list = starts[names[j]]
			if not list then list = {} starts[names[j]] = list end
			list[#list + 1] = g.start
		end
	end
	for _, list in pairs(starts) do table.sort(list) end
	cell.starts = starts
	return starts
end

local function within(list, from, to)
	if not list then return end
	local low, high = 1, #list + 1
	while low < high do
		local middle = math.floor((low + high) / 2)
		if list[middle] < from then low = middle + 1 else high = middle end
	end
	return list[low] and list[low] <= to
end

-- Does a flow of the same local port start within [from, to]? name: its remote, or its remote and side.
local function starts_within(cell, remote, name, from, to)
	for b = math.floor(from / BUCKET), from <= to and math.floor(to / BUCKET) or -1 do
		local c = cell_at(b, cell.sub, evidence_field(cell))
		if within(starts_of(c)[name], from, to) or is_full(c) and within(starts_of(annex(c, remote))[name], from, to) then
			return true
		end
	end
end

local function windows(e)
	if e.calibrated then return CALIBRATED, CALIBRATED end
	return BEFORE, AFTER
end

-- Is another use of the 5-tuple in time for the event, from..to around the event? Uses less than 3 s apart are tries of one connect.
-- A datagram socket tells its peer once, however often it falls silent: for those no use ends the other.
local function used_elsewhere(f, e, cell, from, to)
	if f.midstream or cell.field:byte(3) ~= TCP then return end
	local name = f.remote .. f.side
	return starts_within(cell, f.remote, name, e.t + from, math.min(e.t + to, f.start - SAME_FLOW - 1)) or
		starts_within(cell, f.remote, name, math.max(e.t + from, f.start + SAME_FLOW + 1), e.t + to)
end

-- By a calibrated clock an event belongs to the use that it is nearest to; as near to two, to neither.
local function taken(f, e, d, cell)
	return e.calibrated and used_elsewhere(f, e, cell, -d, d)
end

-- By another clock nobody can say which of two uses it means.
local function contested(f, e, cell)
	return not e.calibrated and used_elsewhere(f, e, cell, -AFTER, BEFORE)
end

-- The same 5-tuple: does the time allow it, and how far is it? A connect that was seen is near the flow's start, on either side;
-- a flow in mid-stream takes the newest connect before it, so its distance is the event's age.
local function distance(f, e)
	local d = e.t - f.start
	if f.midstream then
		if d <= (e.calibrated and CLOSE or AFTER) and -d <= lifetime and not stopped(f, e) then return -d end
	elseif e.calibrated then
		if d >= -CALIBRATED and d <= CALIBRATED and not (e.stop and e.stop + CLOSE < f.start) then return d < 0 and -d or d end
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

-- A full cell keeps a sample of its events, so the nearest may be one that was turned away: there an owner is whom all of the sample
-- names, and a sample of several names nobody. One pass: a port with thousands of flows comes here for each of them.
local function of_sample(f, events)
	local any, nearest, processes = false, {}, {}
	for i = 1, #events do any = any or events[i].mine end
	for i = 1, #events do
		local e = events[i]
		if e.mine or not any then
			local d, known = math.abs(e.t - f.start), nearest[e.p]
			if not known then
				known = {d = d, e = e}
				nearest[e.p] = known
				processes[#processes + 1] = known
			elseif d < known.d or (d == known.d and e.id < known.e.id) then
				known.d, known.e = d, e
			end
		end
	end
	table.sort(processes, nearer)
	if #processes > 1 then return ambiguous(processes, any and KEY_5TUPLE or KEY_IP_PORT) end
	return nil, any and inferred(processes, KEY_5TUPLE, CAUSE_APART) or nil
end

local function by_5tuple(f, events, cell)
	local list, doubtful, calibrated = {}, false, false
	for i = 1, #events do
		local e = events[i]
		if e.mine and not e.found then
			local d = distance(f, e)
			if d and ((not f.midstream and e.calibrated and d <= CLOSE) or not ended(f, e, events)) and not taken(f, e, d, cell) then
				list[#list + 1] = {d = d, e = e}
				calibrated = calibrated or e.calibrated
				doubtful = doubtful or contested(f, e, cell)
			end
		end
	end
	if doubtful and #list == 1 then return end
	local processes = choose(list, doubtful and not calibrated)
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

-- An event whose own 5-tuple is on the wire speaks of that connection, not of another one of its port.
local function has_flow(e, cell)
	local before, after = windows(e)
	return e.remote and starts_within(cell, e.remote, e.remote, e.t - after, e.t + before)
end

local function by_port(f, events, cell)
	local list = {}
	if f.midstream then return end
	for i = 1, #events do
		local e = events[i]
		local d = e.t - f.start
		if d < 0 then d = -d end
		if not e.mine and not e.found and d <= (e.calibrated and PORT_CALIBRATED or PORT_UNCALIBRATED) and not has_flow(e, cell) then
			list[#list + 1] = {d = d, e = e}
		end
	end
	return inferred(list, KEY_IP_PORT, CAUSE_NO_REMOTE)
end

-- What is not told again was told before: without an earlier connection nothing is inferred. But whoever connects there later may have
-- done so before, untold, and is a rival.
local function by_destination(f, events)
	local reports, others, earlier = {}, {}, false
	for i = 1, #events do
		local e = events[i]
		local before, after = e.calibrated and CLOSE or BEFORE, e.calibrated and CLOSE or AFTER
		if e.interval then
			if e.t - after <= f.start and f.start <= e.last + before then reports[#reports + 1] = {d = 0, e = e} end
		elseif math.abs(e.t - f.start) <= lifetime and not stopped(f, e) then
			others[#others + 1] = {d = math.abs(f.start - e.t), e = e}
			earlier = earlier or e.t - after <= f.start
		end
	end
	return inferred(reports, KEY_AGGREGATED, CAUSE_AGGREGATED) or earlier and inferred(others, KEY_DESTINATION, CAUSE_INFERRED)
end

-- Everything that may bear on a flow: its own cell, the neighbour when the window reaches over an edge, the cells that asked to be
-- watched (mid-stream flows and scans reach further than a window), and for mid-stream all of the lifetime before.
local function events_of(f, cell)
	local after = f.start - cell.bucket * BUCKET
	if after >= EDGE and after + EDGE < BUCKET and not f.midstream and #cell.watch == 0 and cell.kind == 'p' then
		local list = cell.events -- the common case: nothing but the cell itself
		for i = 1, #list do list[i].mine = list[i].remote == f.remote end
		return list, #list >= MAX_EVENTS
	end
	local list, n, field, bucket, full = {}, 0, evidence_field(cell), cell.bucket, false
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
		full = full or #from.events >= MAX_EVENTS
		for j = 1, #from.events do
			local e = from.events[j]
			e.mine = cell.kind == 's' or e.remote == f.remote
			if e.mine or cell.kind == 'p' then
				n = n + 1
				list[n] = e
			end
		end
	end
	return list, full
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
	for b = cell.bucket - look_back, cell.bucket + look_back do
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
	local events, full = events_of(f, cell)
	if #events == 0 and not f.seek then return UNKNOWN end
	local several, one
	if full then several, one = of_sample(f, events) end
	return several or by_5tuple(f, events, cell) or by_scan(f, events) or by_port(f, events, cell) or one or f.seek and by_destination(f, destination_events(f, cell)) or UNKNOWN
end

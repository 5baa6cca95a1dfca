-- The join: one batch of records of one tag merged into the packed cells of that tag, atomically and repeatably.
--
-- KEYS  1 leaktap:{TTT}:hw:<source>, the last sequence taken from that source
-- ARGV  1 sequence  2 letters: "f" accept a gap, "t" tell the owner of every flow that was looked at, changed or not (a batch sent again,
--       its first answer lost)  3 seconds a cell lives (0: for ever)  4 seconds a rollup lives  5 cap of the out stream
--       6... records (cell.h)
-- reply {"OK", high water, changes, events turned away} or {"DUP", high water} or {"GAP", high water}
--
-- State only grows: the set of events of a cell and, per flow, a ledger 5-minute bucket -> highest cumulative (up, down). Both
-- merges are unions or maxima, so a record may come twice, late or in any order. Who owns a flow is a pure function of that state
-- (resolve); rollups move by derived(new) - derived(old) and are written as absolute values. Phases: merge and resolve in
-- memory, read everything that will be written, then write; nothing between the first and the last write can fail.
--
-- Times are microseconds. Numbers in blobs are big-endian, so that comparing bytes compares values.

local unpack, pack, call = struct.unpack, struct.pack, redis.call

local BUCKET, LEDGER = 1800e6, 300e6
local CLOSE = 2e6                                     -- calibrated and that close: grade A
local CALIBRATED = 60e6                               -- calibrated: grade B up to here
local BEFORE, AFTER = 65e6, 15e6                      -- not calibrated: event in -65..+15 s of the flow's start
local RIVAL = 10e6                                    -- another process that close to the best: ambiguous
local PORT_CALIBRATED, PORT_UNCALIBRATED = 2e6, 5e6   -- ip and port agree, remote does not
local SAME_FLOW = 3e6                                 -- two taps on one connection
local TCP = 6
local EDGE = BEFORE + SAME_FLOW                       -- how far from a bucket's edge its neighbour matters
local SOURCE_TTL = 172800                             -- of a source that has ended
local MAX_EVENTS, MAX_FLOWS, MAX_REFS, MAX_SAME, MAX_LOOK_BACK = 200, 200, 200, 2000, 48

local EV_CALIBRATED, EV_FOUND, EV_REMOTE, EV_STOP, EV_INTERVAL = 1, 2, 4, 8, 16
local FL_MIDSTREAM, FL_SEEK, FL_RESPONDER, FL_OWNER_HERE = 1, 2, 4, 8
local KEY_5TUPLE, KEY_IP_PORT, KEY_AGGREGATED, KEY_DESTINATION = 1, 2, 3, 4
local CAUSE_NONE, CAUSE_BEFORE, CAUSE_UNCALIBRATED, CAUSE_APART, CAUSE_NO_REMOTE, CAUSE_AGGREGATED, CAUSE_INFERRED, CAUSE_RIVALS =
	0, 3, 8, 9, 10, 11, 12, 13
local NOBODY = ('\0'):rep(8)

local prefix = KEYS[1]:match('^[^}]*}:')
local seq, letters, ttl, rollup_ttl, stream_cap = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local look_back = math.min(MAX_LOOK_BACK, math.ceil((ttl > 0 and ttl or 7200) * 1e6 / BUCKET))
local lifetime = look_back * BUCKET

local high = tonumber(call('GET', KEYS[1]) or 0)
local forced, tell_all = letters:find('f', 1, true), letters:find('t', 1, true)
if seq <= high and not tell_all then return {'DUP', high} end
if seq > high + 1 and not forced then return {'GAP', high} end

local function has(flags, bit)
	return flags % (2 * bit) >= bit
end

-- Cells ---------------------------------------------------------------------------------------------------------------------

local cells, changed_cells, keys, stems, overflow = {}, {}, {}, {}, 0

local function read_event(blob, pos, bucket, destination)
	local first, id, p, off, flags, remote, stop, last = pos
	if destination then
		p, flags, off, id, pos = unpack('>c8BI4c4', blob, pos)
	else
		id, p, off, flags, pos = unpack('>c4c8I4B', blob, pos)
	end
	local interval = flags >= EV_INTERVAL
	if has(flags, EV_REMOTE) then remote, pos = unpack('>c6', blob, pos) end
	if has(flags, EV_STOP) then stop, pos = unpack('>I8', blob, pos) end
	if interval then last, pos = unpack('>I8', blob, pos) end
	local raw, t = blob:sub(first, pos - 1), bucket * BUCKET + off
	-- What two copies of one piece of evidence share: its id; of a destination's evidence its process, but reports are kept apart.
	local same = id
	if destination then same = interval and raw or p end
	return {id = id, p = p, t = t, last = last or t, remote = remote, stop = stop, interval = interval, same = same, raw = raw,
		calibrated = flags % 2 == 1, found = flags % 4 >= EV_FOUND, mine = false}, pos
end

local function read_flow(blob, pos, cell)
	local flags, start, last, service, ver, grade, key, cause, rivals, n_members, n_entries
	local owner, remote, members, ledger, base = NOBODY, cell.remote, {}, {}, cell.bucket * BUCKET
	flags, start, last, service, ver, grade, key, cause, rivals, n_members, n_entries, pos = unpack('>Bi4I4HHc1BBBBH', blob, pos)
	if has(flags, FL_OWNER_HERE) then
		owner, pos = cell.events[blob:byte(pos)].p, pos + 1
	elseif grade ~= 'U' then
		owner, pos = unpack('>c8', blob, pos)
	end
	if not remote then remote, pos = unpack('>c6', blob, pos) end
	for i = 1, n_members do members[i], pos = unpack('>c10', blob, pos) end
	for i = 1, n_entries do
		local at, up, down
		at, up, down, pos = unpack('>hI6I6', blob, pos)
		ledger[i] = {cell.bucket * 6 + at, up, down}
	end
	return {cell = cell, midstream = has(flags, FL_MIDSTREAM), seek = has(flags, FL_SEEK), side = has(flags, FL_RESPONDER) and 1 or 0,
		start = base + start, last = base + last * 1000, service = service, ver = ver, grade = grade, key = key, cause = cause,
		rivals = rivals, owner = owner, remote = remote, members = members, ledger = ledger, touched = false}, pos
end

-- The first event of the owner's in the cell, nil: none among those that a byte can number.
local function owner_here(f, cell)
	if f.grade == 'U' or f.grade == 'D' then return end
	for i = 1, #cell.events do
		if cell.events[i].p == f.owner then return i end
	end
end

local function write_flow(f, cell)
	local here = owner_here(f, cell)
	local flags = (f.midstream and FL_MIDSTREAM or 0) + (f.seek and FL_SEEK or 0) + (f.side == 1 and FL_RESPONDER or 0) +
		(here and FL_OWNER_HERE or 0)
	local base, out = cell.bucket * BUCKET, {}
	out[1] = pack('>Bi4I4HHc1BBBBH', flags, f.start - base, math.max(0, math.floor((f.last - base) / 1000)), f.service, f.ver,
		f.grade, f.key, f.cause, f.rivals, #f.members, #f.ledger)
	if here then out[2] = string.char(here) elseif f.grade ~= 'U' then out[2] = f.owner end
	if not cell.remote then out[#out + 1] = f.remote end
	for i = 1, #f.members do out[#out + 1] = f.members[i] end
	for i = 1, #f.ledger do
		local l = f.ledger[i]
		out[#out + 1] = pack('>hI6I6', l[1] - cell.bucket * 6, l[2], l[3])
	end
	return table.concat(out)
end

-- A cell begins with how many events, flows and watches it has: one byte where all are few, which is nearly always.
local FEW_EVENTS, FEW_FLOWS, FEW_WATCHES = 7, 7, 3

local function read_head(blob)
	local head, pos = unpack('>B', blob)
	local events, flows, watch = math.floor(head / 32), math.floor(head / 4) % 8, head % 4
	if events == FEW_EVENTS then events, pos = unpack('>B', blob, pos) end
	if flows == FEW_FLOWS then flows, pos = unpack('>H', blob, pos) end
	if watch == FEW_WATCHES then watch, pos = unpack('>B', blob, pos) end
	return events, flows, watch, pos
end

local function write_head(events, flows, watch)
	local e, f, w = math.min(events, FEW_EVENTS), math.min(flows, FEW_FLOWS), math.min(watch, FEW_WATCHES)
	local head = string.char(e * 32 + f * 4 + w)
	if e == FEW_EVENTS then head = head .. pack('>B', events) end
	if f == FEW_FLOWS then head = head .. pack('>H', flows) end
	if w == FEW_WATCHES then head = head .. pack('>B', watch) end
	return head
end

local function read_cell(cell, blob)
	local events, flows, watch, pos = read_head(blob)
	for i = 1, events do cell.events[i], pos = read_event(blob, pos, cell.bucket, cell.kind == 'd') end
	for i = 1, flows do
		if cell.kind == 'd' then
			cell.flows[i], pos = unpack('>Bc0', blob, pos)
		else
			cell.flows[i], pos = read_flow(blob, pos, cell)
		end
	end
	for i = 1, watch do cell.watch[i], pos = unpack('>b', blob, pos) end
end

local function write_cell(cell)
	local out = {write_head(#cell.events, #cell.flows, #cell.watch)}
	for i = 1, #cell.events do out[#out + 1] = cell.events[i].raw end
	for i = 1, #cell.flows do
		local f = cell.flows[i]
		out[#out + 1] = cell.kind == 'd' and pack('>Bc0', #f, f) or write_flow(f, cell)
	end
	for i = 1, #cell.watch do out[#out + 1] = pack('>b', cell.watch[i]) end
	return table.concat(out)
end

-- Fields: 'p' zone proto port address        local port: every remote together
--         's' zone proto port remote address whole 5-tuple (ports that serve, see cell.h)
--         'o' ditto, flows only: what a full 'p' cell could not take. They see the events of their own remote only, or every event
--             on a port with thousands of remotes would be an event for each of them
--         'd' zone proto remote address      evidence about a destination; "flows" are back references
local function cell_at(bucket, sub, field)
	local row = cells[bucket]
	if not row then row = {} cells[bucket] = row end
	local cell = row[field]
	if cell then return cell end
	local kind = field:sub(1, 1)
	local stem = stems[bucket]
	if not stem then
		stem = prefix .. 'c:' .. bucket .. ':'
		stems[bucket] = stem
	end
	cell = {bucket = bucket, sub = sub, field = field, kind = kind, events = {}, flows = {}, watch = {}, key = stem .. sub,
		changed = false, stale = false}
	if kind == 's' or kind == 'o' then cell.remote = field:sub(6, 11) end
	row[field] = cell
	local blob = call('HGET', cell.key, field)
	if blob then
		keys[cell.key] = 1
		read_cell(cell, blob)
	end
	return cell
end

local function change(cell)
	if not cell.changed then
		cell.changed = true
		changed_cells[#changed_cells + 1] = cell
	end
end

-- The cell that holds the events of a cell's flows.
local function evidence_field(cell)
	if cell.kind ~= 'o' then return cell.field end
	return 'p' .. cell.field:sub(2, 5) .. cell.field:sub(12)
end

-- Where a full cell keeps the flows to one remote.
local function annex(cell, remote)
	return cell_at(cell.bucket, cell.sub, 'o' .. cell.field:sub(2, 5) .. remote .. cell.field:sub(6))
end

local function is_full(cell)
	return cell.kind == 'p' and #cell.flows >= MAX_FLOWS
end

local function watch(cell, distance)
	local list = cell.watch
	for i = 1, #list do
		if list[i] == distance then return end
		if list[i] > distance then
			table.insert(list, i, distance)
			return change(cell)
		end
	end
	list[#list + 1] = distance
	change(cell)
end

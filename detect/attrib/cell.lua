-- The join: one batch of records of one tag merged into the packed cells of that tag, atomically and repeatably.
--
-- KEYS  1 leaktap:{TTT}:hw
-- ARGV  1 source  2 sequence  3 letters: "f" accept a gap, "t" tell the owner of every flow in the batch, changed or not (a batch
--       sent again, its first answer lost)  4 seconds a cell lives (0: for ever)  5 seconds a rollup lives  6 cap of the out
--       stream  7... records (cell.h)
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
local EDGE = BEFORE + SAME_FLOW                       -- how far from a bucket's edge its neighbour matters
local MAX_EVENTS, MAX_FLOWS, MAX_REFS, MAX_SAME, MAX_LOOK_BACK = 200, 200, 200, 2000, 48

local EV_CALIBRATED, EV_FOUND, EV_REMOTE, EV_STOP, EV_INTERVAL = 1, 2, 4, 8, 16
local FL_MIDSTREAM, FL_SEEK, FL_RESPONDER = 1, 2, 4
local KEY_5TUPLE, KEY_IP_PORT, KEY_AGGREGATED, KEY_DESTINATION = 1, 2, 3, 4
local CAUSE_NONE, CAUSE_BEFORE, CAUSE_UNCALIBRATED, CAUSE_APART, CAUSE_NO_REMOTE, CAUSE_AGGREGATED, CAUSE_INFERRED, CAUSE_RIVALS =
	0, 3, 8, 9, 10, 11, 12, 13
local NOBODY = ('\0'):rep(8)

local prefix = KEYS[1]:sub(1, -3)
local source, seq, ttl, rollup_ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
local look_back = math.min(MAX_LOOK_BACK, math.ceil((ttl > 0 and ttl or 7200) * 1e6 / BUCKET))
local lifetime = look_back * BUCKET

local high = tonumber(call('HGET', KEYS[1], source) or 0)
local forced, tell_all = ARGV[3]:find('f', 1, true), ARGV[3]:find('t', 1, true)
if seq <= high and not tell_all then return {'DUP', high} end
if seq > high + 1 and not forced then return {'GAP', high} end

local function has(flags, bit)
	return flags % (2 * bit) >= bit
end

-- Cells ---------------------------------------------------------------------------------------------------------------------

local cells, changed_cells, keys, overflow = {}, {}, {}, 0

local function read_event(blob, pos, bucket, destination)
	local e, first = {}, pos
	if destination then
		e.p, e.flags, e.off, e.id, pos = unpack('>c8BI4c8', blob, pos)
	else
		e.id, e.p, e.off, e.flags, pos = unpack('>c8c8I4B', blob, pos)
	end
	local flags = e.flags
	if has(flags, EV_REMOTE) then e.remote, pos = unpack('>c6', blob, pos) end
	if has(flags, EV_STOP) then e.stop, pos = unpack('>I8', blob, pos) end
	e.t = bucket * BUCKET + e.off
	e.last = e.t
	if has(flags, EV_INTERVAL) then e.last, pos = unpack('>I8', blob, pos) end
	e.calibrated, e.found = has(flags, EV_CALIBRATED), has(flags, EV_FOUND)
	e.raw = blob:sub(first, pos - 1)
	-- What two copies of one piece of evidence share: its id; of a destination's evidence its process, but reports are kept apart.
	if not destination then e.same = e.id
	elseif has(flags, EV_INTERVAL) then e.same = e.raw
	else e.same = e.p end
	return e, pos
end

local function read_flow(blob, pos, cell)
	local f, flags, members, entries, start, last = {}
	flags, start, last, f.service, f.ver, f.grade, f.key, f.cause, f.rivals, members, entries, pos =
		unpack('>Bi4I4HHc1BBBBH', blob, pos)
	f.cell, f.midstream, f.seek, f.side = cell, has(flags, FL_MIDSTREAM), has(flags, FL_SEEK), has(flags, FL_RESPONDER) and 1 or 0
	f.start, f.last = cell.bucket * BUCKET + start, cell.bucket * BUCKET + last * 1000
	f.owner, f.remote = NOBODY, cell.remote
	if f.grade ~= 'U' then f.owner, pos = unpack('>c8', blob, pos) end
	if not f.remote then f.remote, pos = unpack('>c6', blob, pos) end
	f.members, f.ledger = {}, {}
	for i = 1, members do f.members[i], pos = unpack('>c10', blob, pos) end
	for i = 1, entries do
		local at, up, down
		at, up, down, pos = unpack('>hI6I6', blob, pos)
		f.ledger[i] = {cell.bucket * 6 + at, up, down}
	end
	return f, pos
end

local function write_flow(f, cell)
	local flags = (f.midstream and FL_MIDSTREAM or 0) + (f.seek and FL_SEEK or 0) + (f.side == 1 and FL_RESPONDER or 0)
	local base, out = cell.bucket * BUCKET, {}
	out[1] = pack('>Bi4I4HHc1BBBBH', flags, f.start - base, math.max(0, math.floor((f.last - base) / 1000)), f.service, f.ver,
		f.grade, f.key, f.cause, f.rivals, #f.members, #f.ledger)
	if f.grade ~= 'U' then out[#out + 1] = f.owner end
	if not cell.remote then out[#out + 1] = f.remote end
	for i = 1, #f.members do out[#out + 1] = f.members[i] end
	for i = 1, #f.ledger do
		local l = f.ledger[i]
		out[#out + 1] = pack('>hI6I6', l[1] - cell.bucket * 6, l[2], l[3])
	end
	return table.concat(out)
end

local function read_cell(cell, blob)
	local events, flows, watch, pos = unpack('>BHB', blob)
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
	local out = {pack('>BHB', #cell.events, #cell.flows, #cell.watch)}
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
	cell = {bucket = bucket, sub = sub, field = field, kind = kind, events = {}, flows = {}, watch = {},
		key = prefix .. 'c:' .. bucket .. ':' .. sub}
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

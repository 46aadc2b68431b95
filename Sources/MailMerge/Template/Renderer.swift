// SPDX-License-Identifier: Apache-2.0

/// Writes what a program makes of one recipient's fields.
struct Renderer {
    /// How HTML templates differ from others.
    struct Mode: Sendable {
        /// Escape what is not markup.
        var escapes: Bool
        /// How tracked links are written; `nil` if there are none.
        var links: LinkWriter?
    }

    var fields: FieldIndex
    var budget: RenderBudget
    /// The rendered text.
    var output: [UInt8] = []
    var locals: [Value?] = []
    var escapes = false
    private var links: LinkWriter?
    private var position = SourcePosition(line: 0, column: 0)
    private var scratch: [UInt8] = []

    init(fields: FieldIndex = FieldIndex(), budget: RenderBudget = RenderBudget()) {
        self.fields = fields
        self.budget = budget
    }

    /// Appends to ``output`` what the program makes of ``fields``.
    mutating func run(_ program: Program, mode: Mode) throws(RenderError) {
        self.escapes = mode.escapes
        self.links = mode.links
        self.locals.removeAll(keepingCapacity: true)
        for _ in 0..<program.localCount { self.locals.append(nil) }
        do {
            try self.run(program.statements)
        } catch {
            var error = error
            error.line = self.position.line
            error.column = self.position.column
            throw error
        }
    }

    private mutating func run(_ statements: [Statement]) throws(RenderError) {
        for statement in statements {
            try self.budget.consume()
            switch statement {
            case .text(let text): self.output.append(contentsOf: text)
            case .field(let slot, let position): try self.write(slot: slot, position)
            case .output(let expression, let position):
                self.position = position
                self.write(try self.evaluate(expression))
            case .conditional(let branches, let otherwise, let position):
                try self.choose(branches, otherwise, position)
            case .loop(let loop, let position): try self.repeat(loop, position)
            case .assign(let target, let expression, let position):
                self.position = position
                try self.assign(target, try self.evaluate(expression))
            case .capture(let local, let body, _): try self.capture(local, body)
            case .link(let index, let body): try self.link(index, body)
            }
            if self.output.count > self.budget.bytes {
                throw RenderError(.size, "the message grows beyond \(self.budget.bytes) bytes")
            }
        }
    }

    private mutating func write(slot: Int, _ position: SourcePosition) throws(RenderError) {
        if let range = self.fields.text(slot) {
            if self.escapes {
                Escape.append(self.fields.bytes[range], to: &self.output)
            } else {
                self.output.append(contentsOf: self.fields.bytes[range])
            }
            return
        }
        self.position = position
        self.write(try self.fields.value(slot, budget: &self.budget))
    }

    private mutating func write(_ value: Value) {
        switch value {
        case .undefined: break
        case .text(let text):
            if self.escapes, !text.isSafe {
                Escape.append(text.bytes, to: &self.output)
            } else {
                self.output.append(contentsOf: text.bytes)
            }
        case .integer(let number): Decimal.append(number, to: &self.output)
        default:
            guard self.escapes else { return value.print(into: &self.output) }
            self.scratch.removeAll(keepingCapacity: true)
            value.print(into: &self.scratch)
            Escape.append(self.scratch[...], to: &self.output)
        }
    }

    private mutating func choose(
        _ branches: [Statement.Branch],
        _ otherwise: [Statement],
        _ position: SourcePosition
    ) throws(RenderError) {
        for branch in branches {
            self.position = position
            if try self.evaluate(branch.test).isTrue { return try self.run(branch.body) }
        }
        try self.run(otherwise)
    }

    private mutating func `repeat`(_ loop: ForLoop, _ position: SourcePosition) throws(RenderError) {
        self.position = position
        var items = try self.items(of: try self.evaluate(loop.sequence))
        if let filter = loop.filter {
            var kept: [Value] = []
            for item in items {
                try self.budget.consume()
                for local in loop.locals { self.locals[local] = nil }
                try self.assign(loop.target, item)
                if try self.evaluate(filter).isTrue { kept.append(item) }
            }
            items = kept
        }
        for index in items.indices {
            try self.budget.consume()
            for local in loop.locals { self.locals[local] = nil }
            self.position = position
            try self.assign(loop.target, items[index])
            self.locals[loop.loopLocal] = .loop(Value.Loop(items: items, index: index))
            try self.run(loop.body)
        }
        if items.isEmpty { try self.run(loop.otherwise) }
    }

    private mutating func assign(_ target: Target, _ value: Value) throws(RenderError) {
        switch target {
        case .local(let local): self.locals[local] = value
        case .unpack(let targets):
            let items = try self.items(of: value)
            guard items.count == targets.count else {
                throw RenderError(.value, "\(items.count) values cannot be assigned to \(targets.count) names")
            }
            for (target, item) in zip(targets, items) { try self.assign(target, item) }
        }
    }

    private mutating func capture(_ local: Int, _ body: [Statement]) throws(RenderError) {
        var outer: [UInt8] = []
        swap(&outer, &self.output)
        try self.run(body)
        swap(&outer, &self.output)
        try self.budget.pay(bytes: outer.count)
        self.locals[local] = .text(outer, isSafe: self.escapes)
    }

    private mutating func link(_ index: Int, _ body: [Statement]) throws(RenderError) {
        guard let links = self.links else { return try self.run(body) }
        // The address ends up percent-encoded or base64 inside the attribute, so escaping it for HTML would only
        // damage it.
        var address: [UInt8] = []
        swap(&address, &self.output)
        let escapes = self.escapes
        self.escapes = false
        for statement in body {
            if case .text(let text) = statement {
                self.output.append(contentsOf: HTMLText.decoded(text[...]))
            } else {
                try self.run([statement])
            }
        }
        self.escapes = escapes
        swap(&address, &self.output)
        links.append(index: index, address: address, to: &self.output)
    }

    /// What a loop or an unpacking walks through.
    mutating func items(of value: Value) throws(RenderError) -> [Value] {
        switch value {
        case .undefined: return []
        case .list(let list): return list.items
        case .map(let map):
            try self.budget.pay(items: map.members.count)
            return map.members.map(\.key)
        case .text(let text):
            try self.budget.pay(items: text.bytes.count)
            let positions = UTF8Text.boundaries(text.bytes)
            return zip(positions, positions.dropFirst()).map { .text(Value.Text(text.bytes[$0..<$1])) }
        default: throw RenderError(.value, "\(value.kind) has no items to loop over")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

extension Renderer {
    /// The value of an expression.
    mutating func evaluate(_ expression: Expression) throws(RenderError) -> Value {
        try self.budget.consume()
        switch expression {
        case .constant(let value): return value
        case .name(let locals, let slot):
            for local in locals { if let value = self.locals[local] { return value } }
            return try self.fields.value(slot, budget: &self.budget)
        case .attribute(let base, let name): return Operations.attribute(name, of: try self.evaluate(base))
        case .item(let base, let index):
            let value = try self.evaluate(base)
            return Operations.item(try self.evaluate(index), of: value)
        case .not(let operand): return .bool(!(try self.evaluate(operand).isTrue))
        case .and(let left, let right):
            let value = try self.evaluate(left)
            return value.isTrue ? try self.evaluate(right) : value
        case .or(let left, let right):
            let value = try self.evaluate(left)
            return value.isTrue ? value : try self.evaluate(right)
        case .choice(let test, let then, let otherwise):
            if try self.evaluate(test).isTrue { return try self.evaluate(then) }
            if let otherwise { return try self.evaluate(otherwise) }
            return .undefined
        case .filter(let filter, let base, let arguments): return try self.filter(filter, base, arguments)
        case .test(let test, let base, let argument, let negated):
            let value = try self.evaluate(base)
            let operand = if let argument { try self.evaluate(argument) } else { Value.undefined }
            return .bool(try self.test(test, value, operand) != negated)
        default: return try self.evaluateRest(expression)
        }
    }

    private mutating func evaluateRest(_ expression: Expression) throws(RenderError) -> Value {
        switch expression {
        case .list(let items, let isTuple):
            var values: [Value] = []
            values.reserveCapacity(items.count)
            for item in items { values.append(try self.evaluate(item)) }
            return .list(Value.List(items: values, isTuple: isTuple))
        case .map(let members):
            var map = Value.Map(members: [])
            for member in members {
                let key = try self.evaluate(member.key)
                switch key {
                case .list, .map: throw RenderError(.value, "\(key.kind) cannot be the key of a map")
                default: map.set(key, try self.evaluate(member.value))
                }
            }
            return .map(map)
        case .slice(let base, let start, let stop, let step):
            let value = try self.evaluate(base)
            return try self.slice(value, [start, stop, step])
        case .negate(let operand): return try Operations.negate(try self.evaluate(operand))
        case .plus(let operand):
            let value = try self.evaluate(operand)
            guard value.wholeNumber == nil else { return .integer(value.wholeNumber ?? 0) }
            guard case .float = value else { throw RenderError(.value, "\(value.kind) has no negative") }
            return value
        case .arithmetic(let symbol, let left, let right):
            let left = try self.evaluate(left)
            return try self.arithmetic(symbol, left, try self.evaluate(right))
        case .concatenation(let parts): return try self.concatenate(parts)
        case .comparison(let first, let rest): return try self.compare(first, rest)
        case .call(let method, let base, let arguments):
            let receiver = try self.evaluate(base)
            var values: [Value] = []
            for argument in arguments { values.append(try self.evaluate(argument)) }
            return try self.call(method, receiver, values)
        case .range(let bounds): return try self.range(bounds)
        default: return .undefined
        }
    }

    private mutating func concatenate(_ parts: [Expression]) throws(RenderError) -> Value {
        var texts: [Value.Text] = []
        var bytes = 0
        for part in parts {
            let text = try self.evaluate(part).asText
            bytes += text.bytes.count
            texts.append(text)
        }
        try self.budget.pay(bytes: bytes)
        return .text(Operations.join(texts, separator: nil, escapes: self.escapes))
    }

    private mutating func compare(
        _ first: Expression,
        _ rest: [(operation: Comparison, operand: Expression)]
    ) throws(RenderError) -> Value {
        var left = try self.evaluate(first)
        for step in rest {
            let right = try self.evaluate(step.operand)
            try self.budget.consume(1 + min(left.weight, right.weight) >> 8)
            guard try self.holds(step.operation, left, right) else { return .bool(false) }
            left = right
        }
        return .bool(true)
    }

    mutating func holds(_ operation: Comparison, _ left: Value, _ right: Value) throws(RenderError) -> Bool {
        switch operation {
        case .equal: return left == right
        case .notEqual: return left != right
        case .less: return try Operations.isLess(left, right)
        case .lessEqual: return try Operations.isLess(left, right) || left == right
        case .greater: return try Operations.isLess(right, left)
        case .greaterEqual: return try Operations.isLess(right, left) || left == right
        case .isIn: return try self.contains(right, left)
        case .isNotIn: return try !self.contains(right, left)
        }
    }

    private mutating func contains(_ container: Value, _ value: Value) throws(RenderError) -> Bool {
        try self.budget.consume(1 + container.weight >> 4)
        switch container {
        case .undefined: return false
        case .list(let list): return list.items.contains(value)
        case .map(let map): return map.value(for: value) != nil
        case .text(let text):
            guard case .text(let part) = value else { throw RenderError(.value, "\(value.kind) cannot be in text") }
            return Operations.find(part.bytes, in: text.bytes, from: text.bytes.startIndex) != nil
        default: throw RenderError(.value, "nothing can be in \(container.kind)")
        }
    }

    private mutating func range(_ bounds: [Expression]) throws(RenderError) -> Value {
        var numbers: [Int64] = []
        for bound in bounds {
            let value = try self.evaluate(bound)
            guard let number = value.wholeNumber else {
                throw RenderError(.value, "'range' needs whole numbers, not \(value.kind)")
            }
            numbers.append(number)
        }
        let start = numbers.count > 1 ? numbers[0] : 0
        let stop = numbers.count > 1 ? numbers[1] : numbers[0]
        let step = numbers.count > 2 ? numbers[2] : 1
        guard step != 0 else { throw RenderError(.value, "the step of 'range' cannot be 0") }
        var items: [Value] = []
        var number = start
        while step > 0 ? number < stop : number > stop {
            try self.budget.consume()
            items.append(.integer(number))
            let (next, overflow) = number.addingReportingOverflow(step)
            if overflow { break }
            number = next
        }
        return .list(Value.List(items: items, isTuple: false))
    }

    private mutating func slice(_ value: Value, _ bounds: [Expression?]) throws(RenderError) -> Value {
        var numbers: [Int?] = []
        for bound in bounds {
            guard let bound else {
                numbers.append(nil)
                continue
            }
            let number = try self.evaluate(bound)
            if case .none = number {
                numbers.append(nil)
                continue
            }
            guard let whole = number.wholeNumber else { throw RenderError(.value, "\(number.kind) is not an index") }
            numbers.append(Int(max(-(1 << 40), min(1 << 40, whole))))
        }
        if numbers[2] == 0 { throw RenderError(.value, "the step of a slice cannot be 0") }
        switch value {
        case .text, .list, .undefined: try self.budget.pay(bytes: value.weight)
        default: throw RenderError(.value, "\(value.kind) cannot be sliced")
        }
        return Operations.slice(value, start: numbers[0], stop: numbers[1], step: numbers[2] ?? 1)
    }

    private mutating func arithmetic(_ symbol: Symbol, _ left: Value, _ right: Value) throws(RenderError) -> Value {
        switch (symbol, left, right) {
        case (.add, .text(let left), .text(let right)):
            try self.budget.pay(bytes: left.bytes.count + right.bytes.count)
            return .text(Operations.join([left, right], separator: nil, escapes: true))
        case (.add, .list(let left), .list(let right)) where left.isTuple == right.isTuple:
            try self.budget.pay(items: left.items.count + right.items.count)
            return .list(Value.List(items: left.items + right.items, isTuple: left.isTuple))
        case (.multiply, .text, _), (.multiply, .list, _): return try self.times(left, right)
        case (.multiply, _, .text), (.multiply, _, .list): return try self.times(right, left)
        case (.remainder, .text(let pattern), _):
            let arguments: [Value] = if case .list(let list) = right, list.isTuple { list.items } else { [right] }
            return try self.format(pattern, arguments)
        default: return try Operations.arithmetic(symbol, left, right)
        }
    }

    private mutating func times(_ value: Value, _ factor: Value) throws(RenderError) -> Value {
        guard let number = factor.wholeNumber else {
            throw RenderError(.value, "\(value.kind) cannot be multiplied by \(factor.kind)")
        }
        let count = Int(max(0, min(number, 1 << 32)))
        switch value {
        case .text(let text):
            try self.budget.pay(bytes: text.bytes.count * count)
            var bytes: [UInt8] = []
            bytes.reserveCapacity(text.bytes.count * count)
            if !text.bytes.isEmpty { for _ in 0..<count { bytes.append(contentsOf: text.bytes) } }
            return .text(bytes, isSafe: text.isSafe)
        case .list(let list):
            try self.budget.pay(items: list.items.count * count)
            var items: [Value] = []
            if !list.items.isEmpty { for _ in 0..<count { items.append(contentsOf: list.items) } }
            return .list(Value.List(items: items, isTuple: list.isTuple))
        default: return .undefined
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

// The precedences are Jinja2's, from loose to tight: if-else, or, and, not, comparisons, + -, ~, * / // %, **, signs,
// then filters and tests.

extension TemplateParser {
    /// An expression, or several with commas between them, which make a tuple.
    mutating func parseTuple(withChoice: Bool = true, inParentheses: Bool = false) throws(TemplateError) -> Expression {
        let first = self.current
        var items: [Expression] = []
        var isTuple = false
        while true {
            if self.isTupleEnd { break }
            items.append(withChoice ? try self.parseExpression() : try self.parseOr())
            guard self.accept(.comma) else { break }
            isTuple = true
        }
        if !isTuple {
            if let item = items.first { return item }
            guard inParentheses else {
                throw self.failure("expected an expression, found \(first.kind.described)", at: first)
            }
        }
        return .list(items, isTuple: true)
    }

    private var isTupleEnd: Bool {
        switch self.current.kind {
        case .outputEnd, .blockEnd, .symbol(.rightParenthesis): true
        default: false
        }
    }

    mutating func parseExpression() throws(TemplateError) -> Expression {
        self.expressionDepth += 1
        defer { self.expressionDepth -= 1 }
        guard self.expressionDepth <= Self.maximumExpressionDepth else {
            throw self.failure("an expression is nested too deep")
        }
        var expression = try self.parseOr()
        while self.accept("if") {
            try self.countChain()
            let test = try self.parseOr()
            let otherwise = self.accept("else") ? try self.parseExpression() : nil
            expression = .choice(test: test, then: expression, otherwise: otherwise)
        }
        return expression
    }

    private mutating func countChain() throws(TemplateError) {
        self.chain += 1
        guard self.chain <= Self.maximumChain else { throw self.failure("an expression has too many operators") }
    }

    private mutating func parseOr() throws(TemplateError) -> Expression {
        var left = try self.parseAnd()
        while self.accept("or") {
            try self.countChain()
            left = .or(left, try self.parseAnd())
        }
        return left
    }

    private mutating func parseAnd() throws(TemplateError) -> Expression {
        var left = try self.parseNot()
        while self.accept("and") {
            try self.countChain()
            left = .and(left, try self.parseNot())
        }
        return left
    }

    private mutating func parseNot() throws(TemplateError) -> Expression {
        var count = 0
        while self.accept("not") {
            try self.countChain()
            count += 1
        }
        var expression = try self.parseComparison()
        for _ in 0..<count { expression = .not(expression) }
        return expression
    }

    private mutating func parseComparison() throws(TemplateError) -> Expression {
        let first = try self.parseSum()
        var rest: [(operation: Comparison, operand: Expression)] = []
        while let operation = self.acceptComparison() {
            try self.countChain()
            rest.append((operation, try self.parseSum()))
        }
        return rest.isEmpty ? first : .comparison(first, rest)
    }

    private mutating func acceptComparison() -> Comparison? {
        let operation: Comparison
        switch self.current.kind {
        case .symbol(.equal): operation = .equal
        case .symbol(.notEqual): operation = .notEqual
        case .symbol(.less): operation = .less
        case .symbol(.lessEqual): operation = .lessEqual
        case .symbol(.greater): operation = .greater
        case .symbol(.greaterEqual): operation = .greaterEqual
        case .name:
            if self.isName("in") {
                operation = .isIn
            } else if self.isName("not"), self.tokens[self.tokenIndex + 1].kind == .name(Array("in".utf8)) {
                self.advance()
                operation = .isNotIn
            } else {
                return nil
            }
        default: return nil
        }
        self.advance()
        return operation
    }

    private mutating func parseSum() throws(TemplateError) -> Expression {
        var left = try self.parseConcatenation()
        while case .symbol(let symbol) = self.current.kind, symbol == .add || symbol == .subtract {
            self.advance()
            try self.countChain()
            left = .arithmetic(symbol, left, try self.parseConcatenation())
        }
        return left
    }

    private mutating func parseConcatenation() throws(TemplateError) -> Expression {
        var parts = [try self.parseProduct()]
        while self.accept(.tilde) {
            try self.countChain()
            parts.append(try self.parseProduct())
        }
        return parts.count == 1 ? parts[0] : .concatenation(parts)
    }

    private mutating func parseProduct() throws(TemplateError) -> Expression {
        var left = try self.parsePower()
        while case .symbol(let symbol) = self.current.kind,
            symbol == .multiply || symbol == .divide || symbol == .floorDivide || symbol == .remainder
        {
            self.advance()
            try self.countChain()
            left = .arithmetic(symbol, left, try self.parsePower())
        }
        return left
    }

    private mutating func parsePower() throws(TemplateError) -> Expression {
        var left = try self.parseUnary(withFilters: true)
        while self.accept(.power) {
            try self.countChain()
            left = .arithmetic(.power, left, try self.parseUnary(withFilters: true))
        }
        return left
    }

    private mutating func parseUnary(withFilters: Bool) throws(TemplateError) -> Expression {
        self.expressionDepth += 1
        defer { self.expressionDepth -= 1 }
        guard self.expressionDepth <= Self.maximumExpressionDepth else {
            throw self.failure("an expression is nested too deep")
        }
        var expression: Expression
        if self.accept(.subtract) {
            expression = .negate(try self.parseUnary(withFilters: false))
        } else if self.accept(.add) {
            expression = .plus(try self.parseUnary(withFilters: false))
        } else {
            expression = try self.parsePrimary()
        }
        expression = try self.parsePostfix(expression)
        return withFilters ? try self.parseFilters(expression) : expression
    }

    private mutating func parsePrimary() throws(TemplateError) -> Expression {
        let token = self.current
        self.advance()
        switch token.kind {
        case .name(let name): return try self.parseName(name, token)
        case .string(let first):
            var text = first
            while case .string(let next) = self.current.kind {
                text += next
                self.advance()
            }
            return .constant(.text(text))
        case .integer(let number): return .constant(.integer(number))
        case .float(let number): return .constant(.float(number))
        case .symbol(.leftParenthesis):
            self.expressionDepth += 1
            defer { self.expressionDepth -= 1 }
            let inner = try self.parseTuple(inParentheses: true)
            try self.expect(.symbol(.rightParenthesis))
            return inner
        case .symbol(.leftBracket): return try self.parseList()
        case .symbol(.leftBrace): return try self.parseMap()
        default: throw self.failure("expected an expression, found \(token.kind.described)", at: token)
        }
    }

    private mutating func parseName(_ name: [UInt8], _ token: Token) throws(TemplateError) -> Expression {
        switch String(decoding: name, as: UTF8.self) {
        case "true", "True": return .constant(.bool(true))
        case "false", "False": return .constant(.bool(false))
        case "none", "None": return .constant(.none)
        case "range" where self.isSymbol(.leftParenthesis):
            let arguments = try self.parsePositional(1...3, of: "range")
            return .range(arguments)
        default:
            if self.isSymbol(.leftParenthesis) {
                throw self.failure("calling \(token.kind.described) is not available in mail templates", at: token)
            }
            return self.resolve(name)
        }
    }

    private mutating func parseList() throws(TemplateError) -> Expression {
        var items: [Expression] = []
        while !self.isSymbol(.rightBracket) {
            if !items.isEmpty { try self.expect(.symbol(.comma)) }
            if self.isSymbol(.rightBracket) { break }
            items.append(try self.parseExpression())
        }
        try self.expect(.symbol(.rightBracket))
        return .list(items, isTuple: false)
    }

    private mutating func parseMap() throws(TemplateError) -> Expression {
        var members: [(key: Expression, value: Expression)] = []
        while !self.isSymbol(.rightBrace) {
            if !members.isEmpty { try self.expect(.symbol(.comma)) }
            if self.isSymbol(.rightBrace) { break }
            let key = try self.parseExpression()
            try self.expect(.symbol(.colon))
            members.append((key, try self.parseExpression()))
        }
        try self.expect(.symbol(.rightBrace))
        return .map(members)
    }

    private mutating func parsePostfix(_ base: Expression) throws(TemplateError) -> Expression {
        var expression = base
        while true {
            if self.accept(.dot) {
                try self.countChain()
                expression = try self.parseAttribute(of: expression)
            } else if self.accept(.leftBracket) {
                try self.countChain()
                expression = try self.parseSubscript(of: expression)
            } else if self.isSymbol(.leftParenthesis) {
                throw self.failure("this cannot be called in mail templates")
            } else {
                return expression
            }
        }
    }

    private mutating func parseAttribute(of base: Expression) throws(TemplateError) -> Expression {
        let token = self.current
        if case .integer(let index) = token.kind {
            self.advance()
            return .item(base, .constant(.integer(index)))
        }
        let name = try self.expectName()
        guard self.isSymbol(.leftParenthesis) else { return .attribute(base, name) }
        guard let method = Method(rawValue: String(decoding: name, as: UTF8.self)) else {
            throw self.failure("calling \(token.kind.described) is not available in mail templates", at: token)
        }
        return .call(method, base, try self.parsePositional(method.arguments, of: method.rawValue))
    }

    private mutating func parsePositional(
        _ allowed: ClosedRange<Int>,
        of name: String
    ) throws(TemplateError) -> [Expression] {
        let token = self.current
        try self.expect(.symbol(.leftParenthesis))
        var arguments: [Expression] = []
        while !self.isSymbol(.rightParenthesis) {
            if !arguments.isEmpty { try self.expect(.symbol(.comma)) }
            if self.isSymbol(.rightParenthesis) { break }
            arguments.append(try self.parseExpression())
        }
        try self.expect(.symbol(.rightParenthesis))
        guard allowed.contains(arguments.count) else {
            throw self.failure("'\(name)' is given \(arguments.count) arguments", at: token)
        }
        return arguments
    }

    private mutating func parseSubscript(of base: Expression) throws(TemplateError) -> Expression {
        var bounds: [Expression?] = []
        var isSlice = false
        if self.accept(.colon) {
            isSlice = true
            bounds.append(nil)
        } else {
            let first = try self.parseExpression()
            if self.isSymbol(.comma) { throw self.failure("an index with commas is not available") }
            guard self.accept(.colon) else {
                try self.expect(.symbol(.rightBracket))
                return .item(base, first)
            }
            isSlice = true
            bounds.append(first)
        }
        while isSlice, bounds.count < 3 {
            if self.isSymbol(.rightBracket) {
                bounds.append(nil)
            } else if self.accept(.colon) {
                bounds.append(nil)
            } else {
                bounds.append(try self.parseExpression())
                _ = bounds.count < 3 && self.accept(.colon)
            }
        }
        try self.expect(.symbol(.rightBracket))
        return .slice(base, start: bounds[0], stop: bounds[1], step: bounds[2])
    }

    // MARK: Filters and tests

    private mutating func parseFilters(_ base: Expression) throws(TemplateError) -> Expression {
        var expression = base
        while true {
            if self.accept(.pipe) {
                try self.countChain()
                expression = try self.parseFilter(of: expression)
            } else if self.accept("is") {
                try self.countChain()
                expression = try self.parseTest(of: expression)
            } else if self.isSymbol(.leftParenthesis) {
                throw self.failure("this cannot be called in mail templates")
            } else {
                return expression
            }
        }
    }

    private mutating func parseFilter(of base: Expression) throws(TemplateError) -> Expression {
        let token = self.current
        let name = String(decoding: try self.expectName(), as: UTF8.self)
        guard let filter = Filter(rawValue: name) else {
            throw self.failure("there is no filter named '\(name)'", at: token)
        }
        var arguments: [Expression?] = Array(repeating: nil, count: filter.parameters?.count ?? 0)
        var position = 0
        if self.accept(.leftParenthesis) {
            while !self.isSymbol(.rightParenthesis) {
                if position > 0 { try self.expect(.symbol(.comma)) }
                if self.isSymbol(.rightParenthesis) { break }
                try self.parseArgument(of: filter, position, &arguments)
                position += 1
            }
            try self.expect(.symbol(.rightParenthesis))
        }
        for index in 0..<filter.required where arguments[index] == nil {
            throw self.failure("'\(name)' needs the argument '\(filter.parameters?[index] ?? "")'", at: token)
        }
        return .filter(filter, base, arguments)
    }

    private mutating func parseArgument(
        of filter: Filter,
        _ position: Int,
        _ arguments: inout [Expression?]
    ) throws(TemplateError) {
        let token = self.current
        if case .name(let name) = token.kind, self.tokens[self.tokenIndex + 1].kind == .symbol(.assign) {
            let word = String(decoding: name, as: UTF8.self)
            guard let index = filter.parameters?.firstIndex(of: word), arguments[index] == nil else {
                throw self.failure("'\(filter.rawValue)' has no argument '\(word)' to be given here", at: token)
            }
            self.advance()
            self.advance()
            arguments[index] = try self.parseExpression()
            return
        }
        let value = try self.parseExpression()
        if filter.parameters == nil {
            arguments.append(value)
            return
        }
        guard position < arguments.count, arguments[position] == nil else {
            throw self.failure("'\(filter.rawValue)' is given too many arguments", at: token)
        }
        arguments[position] = value
    }

    private mutating func parseTest(of base: Expression) throws(TemplateError) -> Expression {
        let negated = self.accept("not")
        let token = self.current
        let name = String(decoding: try self.expectName(), as: UTF8.self)
        guard let test = Test(rawValue: name) else {
            throw self.failure("there is no test named '\(name)'", at: token)
        }
        var argument: Expression?
        if self.isSymbol(.leftParenthesis) {
            let arguments = try self.parsePositional(0...1, of: name)
            argument = arguments.first
        } else if test.takesArgument, self.beginsTestArgument {
            argument = try self.parsePostfix(try self.parsePrimary())
        }
        guard (argument != nil) == test.takesArgument else {
            throw self.failure("'\(name)' \(test.takesArgument ? "needs an" : "takes no") argument", at: token)
        }
        return .test(test, base, argument, negated: negated)
    }

    private var beginsTestArgument: Bool {
        switch self.current.kind {
        case .name: !(self.isName("else") || self.isName("or") || self.isName("and"))
        case .string, .integer, .float, .symbol(.leftBracket), .symbol(.leftBrace): true
        default: false
        }
    }
}

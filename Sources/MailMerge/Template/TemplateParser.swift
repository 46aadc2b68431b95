// SPDX-License-Identifier: Apache-2.0

/// A compiled template without its name table.
struct Program: Sendable {
    var statements: [Statement]
    var localCount: Int

    /// Whether rendering writes the same bytes for everybody.
    var isStatic: Bool {
        self.statements.allSatisfy {
            if case .text = $0 { return true }
            return false
        }
    }
}

/// Turns tokens into a ``Program``: the statements; expressions are in an extension.
struct TemplateParser {
    /// How deep blocks may be nested.
    static let maximumBlockDepth = 32
    /// How deep parentheses and their like may be nested.
    static let maximumExpressionDepth = 32
    /// How many operators, filters and look-ups one expression may chain.
    static let maximumChain = 128

    let source: TemplateSource
    let tokens: [Token]
    var tokenIndex = 0
    var names: NameTable
    var expressionDepth = 0
    var chain = 0
    private var scopes: [[[UInt8]: Int]] = [[:]]
    private var localCount = 0
    private var blockDepth = 0

    init(_ source: TemplateSource, tokens: [Token], names: NameTable) {
        self.source = source
        self.tokens = tokens
        self.names = names
    }

    /// Compiles a source; new names are added to those that the templates of one content share.
    static func compile(
        _ source: TemplateSource,
        links: [Lexer.LinkRange] = [],
        names: inout NameTable
    ) throws(TemplateError) -> Program {
        var lexer = Lexer(source, links: links)
        var parser = TemplateParser(source, tokens: try lexer.tokenize(), names: names)
        let statements = try parser.parseBody(until: [])
        names = parser.names
        return Program(statements: statements, localCount: parser.localCount)
    }

    // MARK: Tokens

    var current: Token { self.tokens[self.tokenIndex] }

    mutating func advance() { if self.tokenIndex < self.tokens.count - 1 { self.tokenIndex += 1 } }

    func failure(_ message: String, at token: Token? = nil) -> TemplateError {
        self.source.error(at: (token ?? self.current).offset, message)
    }

    func isSymbol(_ symbol: Symbol) -> Bool { self.current.kind == .symbol(symbol) }

    func isName(_ word: StaticString) -> Bool {
        guard case .name(let name) = self.current.kind else { return false }
        return word.withUTF8Buffer { name.elementsEqual($0) }
    }

    mutating func accept(_ symbol: Symbol) -> Bool {
        guard self.isSymbol(symbol) else { return false }
        self.advance()
        return true
    }

    mutating func accept(_ word: StaticString) -> Bool {
        guard self.isName(word) else { return false }
        self.advance()
        return true
    }

    mutating func expect(_ kind: Token.Kind) throws(TemplateError) {
        guard self.current.kind == kind else {
            throw self.failure("expected \(kind.described), found \(self.current.kind.described)")
        }
        self.advance()
    }

    mutating func expectName() throws(TemplateError) -> [UInt8] {
        guard case .name(let name) = self.current.kind else {
            throw self.failure("expected a name, found \(self.current.kind.described)")
        }
        self.advance()
        return name
    }

    // MARK: Names

    /// The variables and the slot that a name may mean here.
    mutating func resolve(_ name: [UInt8]) -> Expression {
        .name(locals: self.scopes.reversed().compactMap { $0[name] }, slot: self.names.intern(name))
    }

    private mutating func declare(_ name: [UInt8]) -> Int {
        let innermost = self.scopes.count - 1
        if let local = self.scopes[innermost][name] { return local }
        self.scopes[innermost][name] = self.localCount
        self.localCount += 1
        return self.localCount - 1
    }

    // MARK: Statements

    /// Parses up to a block whose first word is one of `ends`; that word is the current token then.
    private mutating func parseBody(until ends: [StaticString]) throws(TemplateError) -> [Statement] {
        var statements: [Statement] = []
        var links: [(index: Int, outer: [Statement], token: Token)] = []
        self.blockDepth += 1
        defer { self.blockDepth -= 1 }
        guard self.blockDepth <= Self.maximumBlockDepth else { throw self.failure("blocks are nested too deep") }
        while true {
            let token = self.current
            switch token.kind {
            case .text(let text):
                statements.append(.text(text))
                self.advance()
            case .linkBegin(let index):
                links.append((index, statements, token))
                statements = []
                self.advance()
            case .linkEnd:
                self.advance()
                guard let link = links.popLast() else { throw self.failure("a link ends in another block") }
                statements = link.outer + [.link(index: link.index, statements)]
            case .outputBegin:
                statements.append(try self.parseOutput())
            case .blockBegin:
                self.advance()
                if ends.contains(where: { self.isName($0) }) {
                    guard links.isEmpty else { throw self.failure("a block begins inside a link and ends after it") }
                    return statements
                }
                statements.append(try self.parseBlock())
            case .end where ends.isEmpty:
                return statements
            default:
                let missing = ends.map { "'\($0)'" }.joined(separator: " or ")
                throw self.failure("expected \(missing), found \(token.kind.described)")
            }
        }
    }

    private mutating func parseOutput() throws(TemplateError) -> Statement {
        let position = self.source.position(of: self.current.offset)
        self.advance()
        self.chain = 0
        let expression = try self.parseTuple()
        try self.expect(.outputEnd)
        if case .name(let locals, let slot) = expression, locals.isEmpty {
            return .field(slot: slot, position: position)
        }
        return .output(expression, position: position)
    }

    private mutating func parseBlock() throws(TemplateError) -> Statement {
        let token = self.current
        let position = self.source.position(of: token.offset)
        let word = String(decoding: try self.expectName(), as: UTF8.self)
        self.chain = 0
        switch word {
        case "if": return try self.parseIf(position)
        case "for": return try self.parseFor(position)
        case "set": return try self.parseSet(position)
        case "elif", "else", "endif", "endfor", "endset", "endraw":
            throw self.failure("'\(word)' has no block that it belongs to", at: token)
        case "macro", "call", "import", "from", "include", "extends", "block", "filter", "with", "autoescape", "do",
            "break", "continue", "trans", "debug":
            throw self.failure("'\(word)' is not available in mail templates", at: token)
        default: throw self.failure("'\(word)' is not a known block", at: token)
        }
    }

    private mutating func parseIf(_ position: SourcePosition) throws(TemplateError) -> Statement {
        var branches: [Statement.Branch] = []
        while true {
            let test = try self.parseTuple(withChoice: false)
            try self.expect(.blockEnd)
            let body = try self.parseBody(until: ["elif", "else", "endif"])
            branches.append(Statement.Branch(test: test, body: body))
            guard self.accept("elif") else { break }
            self.chain = 0
        }
        let otherwise = try self.parseElse(end: "endif")
        return .conditional(branches, otherwise: otherwise, position: position)
    }

    private mutating func parseElse(end: StaticString) throws(TemplateError) -> [Statement] {
        var otherwise: [Statement] = []
        if self.accept("else") {
            try self.expect(.blockEnd)
            otherwise = try self.parseBody(until: [end])
        }
        self.advance()
        try self.expect(.blockEnd)
        return otherwise
    }

    private mutating func parseFor(_ position: SourcePosition) throws(TemplateError) -> Statement {
        let target = try self.parseTargetNames(end: "in")
        guard self.accept("in") else {
            throw self.failure("expected 'in', found \(self.current.kind.described)")
        }
        let sequence = try self.parseTuple(withChoice: false)
        let firstLocal = self.localCount
        self.scopes.append([:])
        let locals = self.declare(target)
        var filter: Expression?
        if self.accept("if") { filter = try self.parseExpression() }
        if self.isName("recursive") { throw self.failure("recursive loops are not available in mail templates") }
        try self.expect(.blockEnd)
        let loopLocal = self.declare(Array("loop".utf8))
        let body = try self.parseBody(until: ["else", "endfor"])
        let lastLocal = self.localCount
        self.scopes.removeLast()
        self.scopes.append([:])
        let otherwise = try self.parseElse(end: "endfor")
        self.scopes.removeLast()
        let loop = ForLoop(
            target: locals,
            sequence: sequence,
            filter: filter,
            body: body,
            otherwise: otherwise,
            locals: firstLocal..<lastLocal,
            loopLocal: loopLocal
        )
        return .loop(loop, position: position)
    }

    private mutating func parseSet(_ position: SourcePosition) throws(TemplateError) -> Statement {
        let target = try self.parseTargetNames(end: "=")
        if self.accept(.assign) {
            let value = try self.parseTuple()
            try self.expect(.blockEnd)
            return .assign(self.declare(target), value, position: position)
        }
        guard case .name(let name) = target else { throw self.failure("expected '='") }
        if self.isSymbol(.dot) || self.isSymbol(.pipe) {
            throw self.failure("'set' assigns to plain names only in mail templates")
        }
        try self.expect(.blockEnd)
        // What is set inside is not seen outside.
        self.scopes.append([:])
        let body = try self.parseBody(until: ["endset"])
        self.scopes.removeLast()
        self.advance()
        try self.expect(.blockEnd)
        return .capture(local: self.declare(name), body, position: position)
    }

    /// Names to assign to, before they mean anything.
    private indirect enum TargetNames {
        case name([UInt8])
        case several([TargetNames])
    }

    private mutating func parseTargetNames(end: StaticString) throws(TemplateError) -> TargetNames {
        var targets: [TargetNames] = []
        var isTuple = false
        self.expressionDepth += 1
        defer { self.expressionDepth -= 1 }
        guard self.expressionDepth <= Self.maximumExpressionDepth else {
            throw self.failure("parentheses are nested too deep")
        }
        while true {
            if self.isName(end) || self.isSymbol(.assign) || self.isSymbol(.rightParenthesis), !targets.isEmpty {
                break
            }
            if self.accept(.leftParenthesis) {
                targets.append(try self.parseTargetNames(end: end))
                try self.expect(.symbol(.rightParenthesis))
            } else {
                let token = self.current
                let name = try self.expectName()
                if Self.reserved.contains(String(decoding: name, as: UTF8.self)) {
                    throw self.failure("\(token.kind.described) cannot be assigned to", at: token)
                }
                targets.append(.name(name))
            }
            guard self.accept(.comma) else { break }
            isTuple = true
        }
        return isTuple || targets.count != 1 ? .several(targets) : targets[0]
    }

    private mutating func declare(_ names: TargetNames) -> Target {
        switch names {
        case .name(let name): .local(self.declare(name))
        case .several(let several): .unpack(several.map { self.declare($0) })
        }
    }

    static let reserved: Set<String> = [
        "true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is", "if", "else", "elif",
    ]
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import XMLRPC

/// The documents in `Tests/Corpora/xmlrpc`, each with the outcome that it must have.
struct CorpusDocument: CustomStringConvertible, Sendable {
    let name: String
    let bytes: [UInt8]
    let expected: String

    var description: String { self.name }

    static let all: [CorpusDocument] = {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Corpora/xmlrpc")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter { $0.hasSuffix(".xml") }.sorted().map { file in
            let name = String(file.dropLast(4))
            let url = folder.appendingPathComponent(name)
            return CorpusDocument(
                name: name,
                bytes: (try? Data(contentsOf: url.appendingPathExtension("xml"))).map(Array.init) ?? [],
                expected: (try? String(contentsOf: url.appendingPathExtension("expected"), encoding: .ascii)) ?? ""
            )
        }
    }()
}

/// What reading a document leads to, in the corpus's notation.
func outcome(of document: [UInt8], chunk: Int = .max, limits: XMLRPCLimits = XMLRPCLimits()) -> String {
    do throws(XMLRPCError) {
        var parser = XMLRPCRequestParser(limits: limits)
        var start = 0
        while start < document.count {
            let end = min(document.count, start + min(chunk, document.count))
            try parser.consume(Array(document[start..<end]))
            start = end
        }
        let call = try parser.finish()
        return "method \(call.method)\n" + call.parameters.map { dump($0, indent: 1) }.joined()
    } catch {
        return "error \(error.code)\n"
    }
}

private func dump(_ value: XMLRPCValue, indent: Int, label: String = "") -> String {
    let pad = String(repeating: "  ", count: indent) + label
    switch value {
    case .int(let number): return pad + "int \(number)\n"
    case .i8(let number): return pad + "i8 \(number)\n"
    case .bool(let flag): return pad + "bool \(flag)\n"
    case .string(let text): return pad + "string \(quoted(Array(text.utf8)))\n"
    case .double(let number):
        let bits = String(number.bitPattern, radix: 16)
        return pad + "double " + String(repeating: "0", count: 16 - bits.count) + bits + "\n"
    case .dateTime(let date):
        let zone = date.offsetMinutes.map { $0 < 0 ? "\($0)" : "+\($0)" } ?? ""
        let text = String(
            format: "%04d-%02d-%02dT%02d:%02d:%02d.%09d",
            Int(date.year),
            Int(date.month),
            Int(date.day),
            Int(date.hour),
            Int(date.minute),
            Int(date.second),
            Int(date.nanosecond)
        )
        return pad + "date " + text + zone + "\n"
    case .base64(let bytes): return pad + "base64 \(quoted(bytes))\n"
    case .array(let elements):
        return pad + "array\n" + elements.map { dump($0, indent: indent + 1) }.joined()
    case .structure(let structure):
        return pad + "struct\n"
            + structure.members.map {
                dump($0.value, indent: indent + 1, label: quoted(Array($0.name.utf8)) + " ")
            }.joined()
    case .nil: return pad + "nil\n"
    }
}

private func quoted(_ bytes: [UInt8]) -> String {
    var text = "\""
    for byte in bytes {
        if byte >= 0x20, byte < 0x7F, byte != 0x22, byte != 0x5C {
            text.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
            text += String(format: "\\%02x", byte)
        }
    }
    return text + "\""
}

// SPDX-License-Identifier: Apache-2.0

/// The people whom the demo writes to: names in several scripts, a dozen domains, some of which defer or refuse.
struct DemoAudience: Sendable {
    /// A domain, its share and what its server will do.
    struct Domain: Sendable {
        var name: String
        var share: Int
        var behaviour: Behaviour
    }

    /// What the sink does with a domain's mail.
    enum Behaviour: Sendable {
        case accepts
        /// Every n-th recipient is told to come back later.
        case defersEvery(Int)
        /// Every n-th recipient is unknown.
        case refusesEvery(Int)
    }

    /// Most mail goes to few domains, as everywhere.
    static let domains: [Domain] = [
        Domain(name: "gmail.test", share: 30, behaviour: .accepts),
        Domain(name: "outlook.test", share: 18, behaviour: .refusesEvery(50)),
        Domain(name: "yahoo.test", share: 12, behaviour: .defersEvery(40)),
        Domain(name: "icloud.test", share: 9, behaviour: .accepts),
        Domain(name: "orange.test", share: 7, behaviour: .refusesEvery(80)),
        Domain(name: "gmx.test", share: 6, behaviour: .accepts),
        Domain(name: "web.test", share: 5, behaviour: .accepts),
        Domain(name: "libero.test", share: 4, behaviour: .defersEvery(30)),
        Domain(name: "mail.test", share: 3, behaviour: .accepts),
        Domain(name: "proton.test", share: 3, behaviour: .accepts),
        Domain(name: "example.test", share: 2, behaviour: .refusesEvery(10)),
        Domain(name: "zoho.test", share: 1, behaviour: .accepts),
    ]

    private static let people: [(first: String, last: String)] = [
        ("Zoë", "Müller"), ("José", "García"), ("Анна", "Иванова"), ("Ελένη", "Παπαδοπούλου"), ("伟", "王"),
        ("さくら", "田中"), ("محمد", "الحسن"), ("נועה", "כהן"), ("प्रिया", "शर्मा"), ("민준", "김"), ("Søren", "Ørsted"),
        ("Łukasz", "Wiśniewski"), ("Grace", "O'Hara"), ("Tom & Jerry", "<Smith>"), ("Nguyễn", "Thị Hương"),
        ("Ada", "Lovelace"),
    ]
    private static let cities = ["Reykjavík", "São Paulo", "東京", "Київ", "Zürich", "القاهرة", "Αθήνα", "Boston"]
    private static let topics = ["moons", "rockets & engines", "ice", "comets", "telescopes", "weather", "élan vital"]

    /// The merge fields of one recipient, as the API takes them.
    static func recipient(_ index: Int) -> [String: JSONScalar] {
        let person = Self.people[index % Self.people.count]
        let points = (index * 37) % 1000
        return [
            "email": .text(Self.address(index)),
            "firstname": .text(person.first),
            "lastname": .text(person.last),
            "city": .text(Self.cities[index % Self.cities.count]),
            "street": .text("\(1 + index % 98) Orbit Street"),
            "plan": .text(index % 3 == 0 ? "gold" : "blue"),
            "points": .integer(points),
            "years": .integer(1 + index % 7),
            "month": .text("November"),
            "daytime": .text(index % 2 == 0 ? "morning" : "evening"),
            "adviser": .text(Self.people[(index + 5) % Self.people.count].first),
            "code": .text("T\(index)/\(points)"),
            "topics": .list((0..<3).map { .text(Self.topics[(index + $0) % Self.topics.count]) }),
        ]
    }

    /// What will become of one recipient.
    static func behaviour(_ index: Int) -> Behaviour { Self.domain(index).behaviour }

    /// Whether the sink defers, refuses or accepts the recipient.
    static func fate(_ index: Int) -> String {
        switch Self.domain(index).behaviour {
        case .accepts: "accept"
        case .defersEvery(let every): index % every == 0 ? "defer" : "accept"
        case .refusesEvery(let every): index % every == 0 ? "refuse" : "accept"
        }
    }

    private static func address(_ index: Int) -> String { "\(Self.fate(index)).\(index)@\(Self.domain(index).name)" }

    private static func domain(_ index: Int) -> Domain {
        // A full cycle through 0…99 in a mixed order, so that each block of a hundred holds every share exactly.
        var remainder = (index * 61) % 100
        for domain in Self.domains {
            if remainder < domain.share { return domain }
            remainder -= domain.share
        }
        return Self.domains[0]
    }
}

/// A JSON value of a recipient.
enum JSONScalar: Encodable, Sendable {
    case text(String)
    case integer(Int)
    case list([JSONScalar])

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .text(let text): try container.encode(text)
        case .integer(let number): try container.encode(number)
        case .list(let list): try container.encode(list)
        }
    }
}

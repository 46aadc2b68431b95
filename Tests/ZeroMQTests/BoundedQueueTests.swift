// SPDX-License-Identifier: Apache-2.0

import Testing
import ZeroMQ

@Suite("Bounded queue", .timeLimit(.minutes(15)))
struct BoundedQueueTests {
    @Test("yields elements in order and ends when it is finished and empty")
    func order() async {
        let queue = BoundedQueue<Int>(capacity: 3)
        #expect(queue.push(contentsOf: [1, 2]) == .pushed)
        #expect(queue.push(3) == .pushed)
        queue.finish()
        #expect(queue.push(4) == .finished)
        #expect(await queue.next() == 1)
        #expect(await queue.next() == 2)
        #expect(queue.pop() == 3)
        #expect(await queue.next() == nil)
    }

    @Test("rejects elements at its bound, by number and by cost")
    func bounds() {
        let byNumber = BoundedQueue<Int>(capacity: 1)
        #expect(byNumber.push(1) == .pushed)
        #expect(byNumber.push(2) == .full)
        #expect(byNumber.pushBeyondBound(3) == .pushed)
        let byCost = BoundedQueue<Int>(capacity: 100, costLimit: 10, cost: { $0 })
        #expect(byCost.push(11) == .pushed, "an element that costs more than the bound must still pass")
        #expect(byCost.push(1) == .full)
        #expect(byCost.pop() == 11)
        #expect(byCost.push(9) == .pushed)
        #expect(byCost.push(9) == .pushed)
        #expect(byCost.push(9) == .full)
    }

    @Test("lets a waiting sender go on once there is room, and moves every element once")
    func backpressure() async throws {
        let queue = BoundedQueue<Int>(capacity: 2)
        let received = await withTaskGroup(of: [Int].self) { group in
            for sender in 0..<4 {
                group.addTask {
                    for number in 0..<100 { _ = await queue.send(sender * 100 + number) }
                    return []
                }
            }
            group.addTask {
                var received: [Int] = []
                while received.count < 400, let number = await queue.next() { received.append(number) }
                return received
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        #expect(received.sorted() == Array(0..<400))
        for sender in 0..<4 {
            let own = received.filter { $0 / 100 == sender }
            #expect(own == own.sorted(), "each sender's elements keep their order")
        }
    }

    @Test("ends the waits of cancelled tasks and of a finished queue")
    func ends() async throws {
        let queue = BoundedQueue<Int>(capacity: 1)
        let reader = Task { await queue.next() }
        reader.cancel()
        #expect(await reader.value == nil)
        #expect(queue.push(1) == .pushed)
        let cancelled = Task { await queue.send(2) }
        cancelled.cancel()
        #expect(await cancelled.value == false)
        let sender = Task { await queue.send(3) }
        queue.finish()
        #expect(await sender.value == false)
        #expect(queue.pop() == 1)
    }
}
